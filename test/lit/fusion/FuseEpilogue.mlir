// RUN: llmc-opt %s --fuse-epilogue | FileCheck %s

llm.weight @w : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>]}
llm.weight @v : tensor<32x32xf32> {sources = [#llm.source<tensor = "v", count = 32>]}
llm.weight @b : tensor<32xf32> {sources = [#llm.source<tensor = "b", count = 32>]}

// The bias after the whole sum, then the activation, the scale, the residual: as written.
// CHECK-LABEL: func.func @chain
func.func @chain(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // CHECK-NEXT: %[[Y:.*]] = llm.linear %arg0, @w rows(%arg0) vectors [@b] epilogue (%[[A:.*]]: f32, %[[R:.*]]: f32, %[[B:.*]]: f32) {
  // CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[B]] : f32
  // CHECK-NEXT: %[[G:.*]] = llm.scalar_activation gelu %[[S]]
  // CHECK-NEXT: %[[H:.*]] = arith.constant 5.000000e-01 : f32
  // CHECK-NEXT: %[[M:.*]] = arith.mulf %[[G]], %[[H]] : f32
  // CHECK-NEXT: %[[Z:.*]] = arith.addf %[[R]], %[[M]] : f32
  // CHECK-NEXT: llm.yield %[[Z]]
  // CHECK-NEXT: } : tensor<?x32xf32> -> tensor<?x32xf32>
  // CHECK-NEXT: return %[[Y]]
  %y = llm.linear %x, @w vectors [@b] epilogue (%a: f32, %b: f32) {
    %s = arith.addf %a, %b : f32
    llm.yield %s
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %g = llm.activation gelu %y : tensor<?x32xf32>
  %h = llm.scale %g {factor = 0.5 : f64} : tensor<?x32xf32>
  %r = llm.add %x, %h : tensor<?x32xf32>
  return %r : tensor<?x32xf32>
}

// Of two linears the later one takes the sum; a row used twice is one row.
// CHECK-LABEL: func.func @two
func.func @two(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // CHECK-NEXT: %[[V:.*]] = llm.linear %arg0, @v :
  // CHECK-NEXT: %[[W:.*]] = llm.linear %arg0, @w rows(%[[V]], %arg0) epilogue (%[[A:.*]]: f32, %[[R:.*]]: f32, %[[X:.*]]: f32) {
  // CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[R]] : f32
  // CHECK-NEXT: %[[T:.*]] = arith.addf %[[S]], %[[X]] : f32
  // CHECK-NEXT: %[[P:.*]] = arith.mulf %[[T]], %[[X]] : f32
  // CHECK-NEXT: llm.yield %[[P]]
  %v = llm.linear %x, @v : tensor<?x32xf32> -> tensor<?x32xf32>
  %w = llm.linear %x, @w : tensor<?x32xf32> -> tensor<?x32xf32>
  %s = llm.add %w, %v : tensor<?x32xf32>
  %t = llm.add %s, %x : tensor<?x32xf32>
  %p = llm.mul %t, %x : tensor<?x32xf32>
  return %p : tensor<?x32xf32>
}

// A row made after the linear: the linear moves down to where all is known.
// CHECK-LABEL: func.func @later
func.func @later(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // CHECK-NEXT: %[[A:.*]] = llm.activation relu %arg0
  // CHECK-NEXT: llm.linear %arg0, @w rows(%[[A]])
  %w = llm.linear %x, @w : tensor<?x32xf32> -> tensor<?x32xf32>
  %a = llm.activation relu %x : tensor<?x32xf32>
  %s = llm.mul %w, %a : tensor<?x32xf32>
  return %s : tensor<?x32xf32>
}

// A result with two readers stays what it is.
// CHECK-LABEL: func.func @shared
func.func @shared(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  // CHECK-NEXT: %[[W:.*]] = llm.linear %arg0, @w :
  // CHECK-NEXT: llm.activation silu %[[W]]
  %w = llm.linear %x, @w : tensor<?x32xf32> -> tensor<?x32xf32>
  %a = llm.activation silu %w : tensor<?x32xf32>
  return %w, %a : tensor<?x32xf32>, tensor<?x32xf32>
}
