// RUN: llmc-opt %s --quantize-linear="scheme=q4_g32 activations=int8" --verify-quantized="scheme=q4_g32" | FileCheck %s
// RUN: llmc-opt %s --quantize-linear="scheme=none activations=int8 element=bf16" --verify-quantized | FileCheck %s --check-prefix=NONE
// RUN: llmc-opt %s --quantize-linear="scheme=q4_g32 activations=bf16" --verify-quantized="scheme=q4_g32 activations=bf16" | FileCheck %s --check-prefix=BF16
// RUN: llmc-opt %s --quantize-linear="activations=bf16 element=bf16" --verify-quantized="activations=bf16" | FileCheck %s --check-prefix=BF16
// RUN: not llmc-opt %s --quantize-linear="activations=bf16 element=f16" 2>&1 | FileCheck %s --check-prefix=HALF
// RUN: not llmc-opt %s --quantize-linear="scheme=q3_k" 2>&1 | FileCheck %s --check-prefix=SCHEME
// RUN: not llmc-opt %s --quantize-linear="scheme=q4_g32 activations=fp8" 2>&1 | FileCheck %s --check-prefix=ACT
// RUN: not llmc-opt %s --quantize-linear="element=f64" 2>&1 | FileCheck %s --check-prefix=ELEMENT
// SCHEME: unknown quantization scheme 'q3_k'; use none, q8_g32, q4_g32 or q4_g128
// ACT: unknown activations 'fp8'; use int8, bf16 or float
// HALF: bf16 activations multiply quantized weights or bf16 ones, @w is 'tensor<32x32xf16>'; choose a quantization
// ELEMENT: unknown element 'f64'; use f32, bf16 or f16

// A tied table is one packed copy; a table that is only looked up, norms and vectors stay.
// CHECK: llm.weight @tied : tensor<96x32xf32> {scheme = "q4_g32"
// CHECK: llm.weight @positions : tensor<64x32xf32> {sources
// CHECK: llm.weight @w : tensor<32x32xf32> {scheme = "q4_g32"
// CHECK: llm.weight @norm : tensor<32xf32> {sources
// NONE: llm.weight @tied : tensor<96x32xbf16> {sources
// NONE: llm.weight @positions : tensor<64x32xbf16> {sources
// NONE: llm.weight @w : tensor<32x32xbf16> {sources
// NONE: llm.weight @norm : tensor<32xf32> {sources
llm.weight @tied : tensor<96x32xf32> {sources = [#llm.source<tensor = "tied", count = 96>]}
llm.weight @positions : tensor<64x32xf32> {sources = [#llm.source<tensor = "positions", count = 64>]}
llm.weight @w : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>]}
llm.weight @norm : tensor<32xf32> {sources = [#llm.source<tensor = "norm", count = 32>]}
// CHECK-LABEL: func.func @step
func.func @step(%batch: !llm.batch) -> tensor<?x96xf32> {
  %x = llm.embed %batch, @tied positions @positions : tensor<?x32xf32>
  // CHECK: llm.linear %{{.*}}, @w norm rms @norm eps 1.000000e-05 activations "int8" :
  // NONE: llm.linear %{{.*}}, @w norm rms @norm eps 1.000000e-05 :
  // BF16: llm.linear %{{.*}}, @w norm rms @norm eps 1.000000e-05 activations "bf16" :
  %y = llm.linear %x, @w norm rms @norm eps 1.0e-5 : tensor<?x32xf32> -> tensor<?x32xf32>
  // CHECK: llm.linear %{{.*}}, @tied activations "int8" :
  // BF16: llm.linear %{{.*}}, @tied activations "bf16" :
  %z = llm.linear %y, @tied : tensor<?x32xf32> -> tensor<?x96xf32>
  return %z : tensor<?x96xf32>
}
