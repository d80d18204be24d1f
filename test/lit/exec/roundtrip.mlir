// Every operation of the exec dialect, written, read and written again.
// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --mlir-print-op-generic | llmc-opt | FileCheck %s

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>], scheme = "q4_g32"}
llm.weight @b : tensor<64xf32> {sources = [#llm.source<tensor = "b", count = 64>]}
llm.cache_group @full {index = 0 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = bf16}

// CHECK: exec.buffer @q "i8" <32 T> at <0>
exec.buffer @q "i8" <32 T> at <0>
// CHECK: exec.buffer @corr "i32" <4 T> at <32 T>
exec.buffer @corr "i32" <4 T> at <32 T>
// CHECK: exec.buffer @scale "f32" <4 T>{{$}}
exec.buffer @scale "f32" <4 T>
// CHECK: exec.buffer @y "f32" <64 + 256 T + 2 P7 + 4 S B>
exec.buffer @y "f32" <256 T + 2 P7 + 64 + 4 S B>

// CHECK: exec.kernel @linear "linear" {activations = "int8", element = "f32", gated = false, rows = 0 : i64, scheme = "q4_g32", vectors = 1 : i64} epilogue (%[[A:.*]]: f32, %[[B:.*]]: f32) {
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[B]] : f32
// CHECK-NEXT: llm.yield %[[S]]
// CHECK-NEXT: }
exec.kernel @linear "linear" {activations = "int8", element = "f32", gated = false, rows = 0 : i64, scheme = "q4_g32", vectors = 1 : i64} epilogue (%a: f32, %b: f32) {
  %s = arith.addf %a, %b : f32
  llm.yield %s
}
// CHECK: exec.kernel @write "cache_write" {element = "bf16"}{{$}}
exec.kernel @write "cache_write" {element = "bf16"}

// CHECK: exec.program @step logits @y {
exec.program @step logits @y {
  // CHECK-NEXT: exec.dispatch @linear (buffer @q, buffer @corr, buffer @scale + <64>, weight @w, weight @b, buffer @y) scalars (1 T, 32, 64, 4, 1, 0, 64, 1) "l0.qkv"
  exec.dispatch @linear (buffer @q, buffer @corr, buffer @scale + <64>, weight @w, weight @b, buffer @y) scalars (1 T, 32, 64, 4, 1, 0, 64, 1) "l0.qkv"
  // CHECK-NEXT: exec.dispatch @write (buffer @y + <128 T>, buffer @y, input Positions, input SequenceIndex, input PageTable[0], cache @full[0] + <2048 P0>) scalars (1 T, 64, 64, 2, 8, 8, 16, 1 S, 1 B, 1 P0){{$}}
  exec.dispatch @write (buffer @y + <128 T>, buffer @y, input Positions, input SequenceIndex, input PageTable[0], cache @full[0] + <2048 P0>) scalars (1 T, 64, 64, 2, 8, 8, 16, 1 S, 1 B, 1 P0)
// CHECK-NEXT: }
}

// CHECK: exec.kernel @best "top_k" {count = 8 : i64, pairs = false}{{$}}
exec.kernel @best "top_k" {count = 8 : i64, pairs = false}
// CHECK: exec.buffer @best_of_y "i32" <64 R>
exec.buffer @best_of_y "i32" <64 R>
// CHECK: exec.program @gpu for ["cuda", "vulkan"] activations "float" logits @y candidates @best_of_y 8 {
exec.program @gpu for ["cuda", "vulkan"] activations "float" logits @y candidates @best_of_y 8 {
  // CHECK-NEXT: exec.dispatch @best (buffer @y, buffer @best_of_y) scalars (1 R, 64, 1, 64){{$}}
  exec.dispatch @best (buffer @y, buffer @best_of_y) scalars (1 R, 64, 1, 64)
}
