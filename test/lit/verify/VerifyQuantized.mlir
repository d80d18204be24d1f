// RUN: llmc-opt %s --verify-quantized="scheme=q8_g32 activations=int8" --split-input-file --verify-diagnostics

llm.weight @w : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>], scheme = "q4_g32"}
func.func @scheme(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-error @+1 {{its weight @w has scheme q4_g32, asked for is q8_g32}}
  %w = llm.linear %x, @w activations "int8" : tensor<?x32xf32> -> tensor<?x32xf32>
  return %w : tensor<?x32xf32>
}

// -----

llm.weight @w : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>], scheme = "q8_g32"}
func.func @activations(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-error @+1 {{its activations are float, asked for are int8}}
  %w = llm.linear %x, @w : tensor<?x32xf32> -> tensor<?x32xf32>
  return %w : tensor<?x32xf32>
}

// -----

// expected-error @+1 {{is quantized, but no linear multiplies with it}}
llm.weight @table : tensor<32x32xf32> {sources = [#llm.source<tensor = "w", count = 32>], scheme = "q8_g32"}
func.func @step(%batch: !llm.batch) -> tensor<?x32xf32> {
  %x = llm.embed %batch, @table : tensor<?x32xf32>
  return %x : tensor<?x32xf32>
}
