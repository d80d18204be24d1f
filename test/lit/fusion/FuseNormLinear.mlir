// RUN: llmc-opt %s --fuse-norm-linear | FileCheck %s

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
llm.weight @n : tensor<32xf32> {sources = [#llm.source<tensor = "n", count = 32>]}
llm.weight @b : tensor<32xf32> {sources = [#llm.source<tensor = "b", count = 32>]}
llm.weight @head : tensor<8xf32> {sources = [#llm.source<tensor = "head", count = 8>]}

// CHECK-LABEL: func.func @rms
func.func @rms(%x: tensor<?x32xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: llm.linear %arg0, @w norm rms @n eps 1.000000e-05 : tensor<?x32xf32> -> tensor<?x64xf32>
  // CHECK-NEXT: return
  %n = llm.norm rms %x, @n {epsilon = 1.0e-5 : f64} : tensor<?x32xf32>
  %y = llm.linear %n, @w : tensor<?x32xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// The norm of selected rows as well.
// CHECK-LABEL: func.func @layer
func.func @layer(%batch: !llm.batch, %x: tensor<?x32xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: %[[S:.*]] = llm.select_rows %arg0, %arg1
  // CHECK-NEXT: llm.linear %[[S]], @w norm layer @n bias @b eps 9.9999999999999995E-7
  %s = llm.select_rows %batch, %x : tensor<?x32xf32>
  %n = llm.norm layer %s, @n bias @b {epsilon = 1.0e-6 : f64} : tensor<?x32xf32>
  %y = llm.linear %n, @w : tensor<?x32xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Read twice: it is computed once.
// CHECK-LABEL: func.func @twice
func.func @twice(%x: tensor<?x32xf32>) -> (tensor<?x64xf32>, tensor<?x32xf32>) {
  // CHECK-NEXT: %[[N:.*]] = llm.norm rms %arg0, @n
  // CHECK-NEXT: llm.linear %[[N]], @w :
  %n = llm.norm rms %x, @n {epsilon = 1.0e-5 : f64} : tensor<?x32xf32>
  %y = llm.linear %n, @w : tensor<?x32xf32> -> tensor<?x64xf32>
  return %y, %n : tensor<?x64xf32>, tensor<?x32xf32>
}

// A norm of heads is none of a row.
// CHECK-LABEL: func.func @heads
func.func @heads(%x: tensor<?x32xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: llm.norm rms %arg0, @head
  %n = llm.norm rms %x, @head {epsilon = 1.0e-5 : f64, group = 8 : i64} : tensor<?x32xf32>
  %y = llm.linear %n, @w : tensor<?x32xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
