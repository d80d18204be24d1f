// RUN: llmc-opt %s --canonicalize | FileCheck %s

llm.weight @w : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>]}

// CHECK-LABEL: func.func @scale
func.func @scale(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  // A third is no power of two: both roundings stay.
  // CHECK: %[[A:.*]] = llm.scale %arg0 {factor = 3.000000e-01 : f64}
  // CHECK: %[[B:.*]] = llm.scale %[[A]] {factor = 0.33333333333333331 : f64}
  // CHECK: %[[C:.*]] = llm.scale %arg0 {factor = 6.000000e-01 : f64}
  // CHECK: return %arg0, %[[B]], %[[C]]
  %one = llm.scale %x {factor = 1.0 : f64} : tensor<?x32xf32>
  %a = llm.scale %x {factor = 0.3 : f64} : tensor<?x32xf32>
  %b = llm.scale %a {factor = 0.33333333333333331 : f64} : tensor<?x32xf32>
  %c = llm.scale %a {factor = 2.0 : f64} : tensor<?x32xf32>
  return %one, %b, %c : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// CHECK-LABEL: func.func @epilogue
func.func @epilogue(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // CHECK-NEXT: llm.linear %arg0, @w : tensor<?x32xf32> -> tensor<?x32xf32>
  %y = llm.linear %x, @w rows(%x) epilogue (%a: f32, %r: f32) {
    llm.yield %a
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Constants stay inside the epilogue that uses them.
// CHECK-LABEL: func.func @constant
func.func @constant(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // CHECK-NEXT: llm.linear %arg0, @w epilogue
  // CHECK-NEXT: arith.constant 5.000000e-01 : f32
  %y = llm.linear %x, @w epilogue (%a: f32) {
    %half = arith.constant 0.5 : f32
    %s = arith.mulf %a, %half : f32
    llm.yield %s
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
