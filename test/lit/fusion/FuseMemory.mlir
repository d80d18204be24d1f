// RUN: llmc-opt %s --fuse-memory --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @slices
func.func @slices(%x: tensor<?x64xf32>) -> (tensor<?x8xf32>, tensor<?x64xf32>) {
  // CHECK-NEXT: %[[S:.*]] = llm.slice %arg0 {offset = 24 : i64} : tensor<?x64xf32> -> tensor<?x8xf32>
  // CHECK-NEXT: return %[[S]], %arg0
  %a = llm.slice %x {offset = 16 : i64} : tensor<?x64xf32> -> tensor<?x32xf32>
  %b = llm.slice %a {offset = 8 : i64} : tensor<?x32xf32> -> tensor<?x8xf32>
  %c = llm.slice %x {offset = 0 : i64} : tensor<?x64xf32> -> tensor<?x64xf32>
  return %b, %c : tensor<?x8xf32>, tensor<?x64xf32>
}

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<?x64xf32>, %y: tensor<?x64xf32>) -> tensor<?x16xf32> {
  // CHECK-DAG: %[[X:.*]] = llm.slice %arg0 {offset = 16 : i64}
  // CHECK-DAG: %[[Y:.*]] = llm.slice %arg1 {offset = 16 : i64}
  // CHECK: llm.mul %[[X]], %[[Y]] : tensor<?x16xf32>
  %m = llm.mul %x, %y : tensor<?x64xf32>
  %s = llm.slice %m {offset = 16 : i64} : tensor<?x64xf32> -> tensor<?x16xf32>
  return %s : tensor<?x16xf32>
}

// -----

// Rows of a weight that nobody reads are not kept: across the border of two sources, and of the bias as well.
// CHECK-NOT: llm.weight @w :
// CHECK: llm.weight @w.rows : tensor<24x32xf32> {sources = [#llm.source<tensor = "a", first = 26, count = 6>, #llm.source<tensor = "b", first = 100, count = 18>]}
// CHECK: llm.weight @bias.rows : tensor<24xf32> {sources = [#llm.source<tensor = "bias", first = 16, count = 16>, #llm.source<count = 8, zeros = true>]}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "a", first = 10, count = 22>, #llm.source<tensor = "b", first = 100, count = 42>]}
llm.weight @bias : tensor<64xf32> {sources = [#llm.source<tensor = "bias", count = 32>, #llm.source<count = 32, zeros = true>]}
// CHECK-LABEL: func.func @narrow
func.func @narrow(%x: tensor<?x32xf32>) -> tensor<?x24xf32> {
  // CHECK-NEXT: llm.linear %arg0, @w.rows vectors [@bias.rows]
  // CHECK-NOT: llm.slice
  %y = llm.linear %x, @w vectors [@bias] epilogue (%a: f32, %b: f32) {
    %s = arith.addf %a, %b : f32
    llm.yield %s
  } : tensor<?x32xf32> -> tensor<?x64xf32>
  %s = llm.slice %y {offset = 16 : i64} : tensor<?x64xf32> -> tensor<?x24xf32>
  return %s : tensor<?x24xf32>
}
