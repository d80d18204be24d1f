// RUN: llmc-opt %s --verify-fused --split-input-file --verify-diagnostics

llm.weight @w : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>]}
func.func @epilogue(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %w = llm.linear %x, @w : tensor<?x32xf32> -> tensor<?x32xf32>
  // expected-error @+1 {{is not part of the epilogue of the linear that it alone reads}}
  %s = llm.add %w, %x : tensor<?x32xf32>
  return %s : tensor<?x32xf32>
}

// -----

llm.weight @w : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>]}
func.func @norm(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-error @+1 {{is not part of the linear that alone reads it}}
  %n = llm.norm rms %x {epsilon = 1.0e-5 : f64} : tensor<?x32xf32>
  %w = llm.linear %n, @w : tensor<?x32xf32> -> tensor<?x32xf32>
  return %w : tensor<?x32xf32>
}

// -----

func.func @slice(%x: tensor<?x32xf32>) -> tensor<?x8xf32> {
  %a = llm.slice %x {offset = 8 : i64} : tensor<?x32xf32> -> tensor<?x16xf32>
  // expected-error @+1 {{is a slice of a slice}}
  %b = llm.slice %a {offset = 8 : i64} : tensor<?x16xf32> -> tensor<?x8xf32>
  return %b : tensor<?x8xf32>
}

// -----

llm.weight @w : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>]}
llm.weight @v : tensor<16x32xf32> {sources = [#llm.source<tensor = "v", count = 16>]}
func.func @siblings(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  // expected-error @+1 {{is not one with the other linears that read its input}}
  %w = llm.linear %x, @w : tensor<?x32xf32> -> tensor<?x32xf32>
  %v = llm.linear %x, @v : tensor<?x32xf32> -> tensor<?x16xf32>
  return %w, %v : tensor<?x32xf32>, tensor<?x16xf32>
}
