// What the verifiers of the llm dialect refuse.
// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{the sources have 60 rows, the weight 64}}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 60>]}

// -----

// expected-error @+1 {{the sources have 0 rows, the weight 64}}
llm.weight @w : tensor<64x32xf32>

// -----

// expected-error @+1 {{a source needs first >= 0 and count > 0}}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", first = -1, count = 64>]}

// -----

// expected-error @+1 {{a source must name a tensor}}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<count = 64>]}

// -----

// expected-error @+1 {{a source of zeros has a count and nothing else}}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64, zeros = true>]}

// -----

// expected-error @+1 {{unknown quantization scheme 'q5_g32'}}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>], scheme = "q5_g32"}

// -----

// expected-error @+1 {{unknown quantization scheme 'q4_g48'}}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>], scheme = "q4_g48"}

// -----

// expected-error @+1 {{only a matrix can be quantized}}
llm.weight @w : tensor<64xf32> {sources = [#llm.source<tensor = "w", count = 64>], scheme = "q4_g32"}

// -----

// expected-error @+1 {{it needs an even number of rows}}
llm.weight @w : tensor<63x32xf32> {sources = [#llm.source<tensor = "w", count = 63>], interleave = 16 : i64}

// -----

// expected-error @+1 {{a weight is a vector tensor<N> or a matrix tensor<NxK>}}
llm.weight @w : tensor<64x32x2xf32> {sources = [#llm.source<tensor = "w", count = 64>]}

// -----

// expected-error @+1 {{elements are f32, f16 or bf16}}
llm.weight @w : tensor<64x32xi8> {sources = [#llm.source<tensor = "w", count = 64>]}

// -----

// expected-error @+1 {{rope_frequencies is a vector of 4 values}}
llm.weight @f : tensor<8xf32> {computed = "rope_frequencies", rope = #llm.rope<dim = 8, base = 10000.0, kind = half, scaling = "default">}

// -----

// expected-error @+1 {{unknown rope scaling 'longrope'}}
llm.weight @f : tensor<4xf32> {computed = "rope_frequencies", rope = #llm.rope<dim = 8, base = 10000.0, kind = half, scaling = "longrope">}

// -----

// expected-error @+1 {{rope scaling 'yarn' needs `original`}}
llm.weight @f : tensor<4xf32> {computed = "rope_frequencies", rope = #llm.rope<dim = 8, base = 10000.0, kind = half, scaling = "yarn">}

// -----

// expected-error @+1 {{rope turns pairs: dim must be even and positive, it is 7}}
llm.weight @f : tensor<3xf32> {computed = "rope_frequencies", rope = #llm.rope<dim = 7, base = 10000.0, kind = half, scaling = "default">}

// -----

func.func @embed(%batch: !llm.batch) -> tensor<?x32xf32> {
  // expected-error @+1 {{names no llm.weight of the module: @table}}
  %x = llm.embed %batch, @table : tensor<?x32xf32>
  return %x : tensor<?x32xf32>
}

// -----

llm.weight @table : tensor<64x16xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @embed(%batch: !llm.batch) -> tensor<?x32xf32> {
  // expected-error @+1 {{needs a table of 32 columns, @table is 'tensor<64x16xf32>'}}
  %x = llm.embed %batch, @table : tensor<?x32xf32>
  return %x : tensor<?x32xf32>
}

// -----

func.func @rows(%x: tensor<4x32xf32>) {
  // expected-error @+1 {{operand #0 must be tensor<?xNxf32> of rows}}
  %y = llm.scale %x {factor = 2.0 : f64} : tensor<4x32xf32>
  return
}

// -----

func.func @norm(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{group 12 does not divide the 32 columns}}
  %y = llm.norm rms %x {epsilon = 1.0e-5 : f64, group = 12 : i64} : tensor<?x32xf32>
  return
}

// -----

llm.weight @n : tensor<32xf32> {sources = [#llm.source<tensor = "w", count = 32>]}
func.func @norm(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{needs a vector of 8, @n is 'tensor<32xf32>'}}
  %y = llm.norm rms %x, @n {epsilon = 1.0e-5 : f64, group = 8 : i64} : tensor<?x32xf32>
  return
}

// -----

llm.weight @n : tensor<32xf32> {sources = [#llm.source<tensor = "w", count = 32>]}
func.func @norm(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{only a layer norm with a weight has a bias}}
  %y = llm.norm rms %x, @n bias @n {epsilon = 1.0e-5 : f64} : tensor<?x32xf32>
  return
}

// -----

llm.weight @w : tensor<64x48xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{needs a weight of 64 x 32, @w is 'tensor<64x48xf32>'}}
  %y = llm.linear %x, @w : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{int8 activations need a quantized weight; @w has scheme none}}
  %y = llm.linear %x, @w activations "int8" : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{bf16 activations need a quantized weight or one of bf16; @w is 'tensor<64x32xf32>'}}
  %y = llm.linear %x, @w activations "bf16" : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{unknown activations "fp4"}}
  %y = llm.linear %x, @w activations "fp4" : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{a gated linear's weight is interleaved, another's is not}}
  %y = llm.linear %x, @w gated epilogue (%a: f32, %b: f32) {
    llm.yield %a
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{epilogue must take 1 f32 values, it takes 2}}
  %y = llm.linear %x, @w epilogue (%a: f32, %b: f32) {
    llm.yield %a
  } : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>, %r: tensor<?x64xf32>) {
  // expected-error @+1 {{a gate, rows and vectors need an epilogue that uses them}}
  %y = llm.linear %x, @w rows(%r) : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{it holds 'arith.extf'}}
  %y = llm.linear %x, @w epilogue (%a: f32) {
    %b = arith.extf %a : f32 to f64
    %c = arith.truncf %b : f64 to f32
    llm.yield %c
  } : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>, %s: f32) {
  // expected-note @+1 {{required by region isolation constraints}}
  %y = llm.linear %x, @w epilogue (%a: f32) {
    // expected-error @+1 {{using value defined outside the region}}
    %b = arith.addf %a, %s : f32
    llm.yield %b
  } : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
llm.weight @b : tensor<32xf32> {sources = [#llm.source<tensor = "b", count = 32>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{needs a vector of 64 with interleave 0, @b is 'tensor<32xf32>' with 0}}
  %y = llm.linear %x, @w vectors [@b] epilogue (%a: f32, %b: f32) {
    %s = arith.addf %a, %b : f32
    llm.yield %s
  } : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @slice(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{columns [24, 40) are not in the input's 32}}
  %y = llm.slice %x {offset = 24 : i64} : tensor<?x32xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @rope(%batch: !llm.batch, %x: tensor<?x32xf32>) {
  // expected-error @+1 {{turns 16 elements of heads of 8}}
  %y = llm.rope %batch, %x {heads = 4 : i64, rope = #llm.rope<dim = 16, base = 10000.0, kind = half, scaling = "default">} : tensor<?x32xf32>
  return
}

// -----

func.func @attention(%batch: !llm.batch, %q: tensor<?x32xf32>, %k: tensor<?x16xf32>) {
  // expected-error @+1 {{value must have 1 x 8 columns, it has 16}}
  %y = llm.attention %batch, %q, %k, %k {layer = 0 : i64, heads = 2 : i64, kv_heads = 1 : i64, key_dim = 16 : i64, value_dim = 8 : i64, scale = 1.0 : f64} : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @attention(%batch: !llm.batch, %q: tensor<?x24xf32>, %k: tensor<?x16xf32>) {
  // expected-error @+1 {{kv_heads must divide heads}}
  %y = llm.attention %batch, %q, %k, %k {layer = 0 : i64, heads = 3 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 1.0 : f64} : tensor<?x24xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x24xf32>
  return
}

// -----

llm.weight @sinks : tensor<3xf32> {sources = [#llm.source<tensor = "s", count = 3>]}
func.func @attention(%batch: !llm.batch, %q: tensor<?x16xf32>) {
  // expected-error @+1 {{needs a value for each of 2 heads, @sinks is 'tensor<3xf32>'}}
  %y = llm.attention %batch, %q, %q, %q {layer = 0 : i64, heads = 2 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 1.0 : f64, sinks = @sinks} : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>
  return
}

// -----

// expected-error @+1 {{a step has at most 8 cache groups}}
llm.cache_group @full {index = 8 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}

// -----

// expected-error @+1 {{attribute 'layers' failed to satisfy constraint}}
llm.cache_group @full {index = 0 : i64, layers = -1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}

// -----

// expected-error @+1 {{attribute 'interleave' failed to satisfy constraint}}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>], interleave = -2 : i64}

// -----

// expected-error @+1 {{a source ends beyond what can be counted}}
llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", first = 9223372036854775807, count = 64>]}

// -----

func.func @attention(%batch: !llm.batch, %q: tensor<?x16xf32>) {
  // expected-error @+1 {{query must have 4611686018427387904 x 4611686018427387904 columns, it has 16}}
  %y = llm.attention %batch, %q, %q, %q {layer = 0 : i64, heads = 4611686018427387904 : i64, kv_heads = 1 : i64, key_dim = 4611686018427387904 : i64, value_dim = 16 : i64, scale = 1.0 : f64} : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{names no llm.weight of the module: @w}}
  %y = llm.linear %x, @w : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}

// -----

llm.weight @w : tensor<64x32xf32> {sources = [#llm.source<tensor = "w", count = 64>]}
func.func @linear(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{norm_weight and norm_bias need norm}}
  %y = llm.linear %x, @w {norm_weight = @w} : tensor<?x32xf32> -> tensor<?x64xf32>
  return
}
