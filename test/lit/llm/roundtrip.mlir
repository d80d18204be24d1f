// Every operation of the llm dialect, written, read and written again.
// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --mlir-print-op-generic | llmc-opt | FileCheck %s

// CHECK: llm.weight @table : tensor<96x32xf32> {sources = [#llm.source<tensor = "wte", count = 96>]}
llm.weight @table : tensor<96x32xf32> {sources = [#llm.source<tensor = "wte", first = 0, count = 96>]}
// CHECK: llm.weight @positions : tensor<64x32xf32> {sources = [#llm.source<tensor = "wpe", count = 64, transpose = true>]}
llm.weight @positions : tensor<64x32xf32> {sources = [#llm.source<tensor = "wpe", count = 64, transpose = true>]}
// CHECK: llm.weight @norm : tensor<32xf32> {sources = [#llm.source<tensor = "norm", count = 32, add = 1.000000e+00>]}
llm.weight @norm : tensor<32xf32> {sources = [#llm.source<tensor = "norm", count = 32, scale = 1.0, add = 1.0>]}
llm.weight @norm_bias : tensor<32xf32> {sources = [#llm.source<tensor = "norm.bias", count = 32>]}
// CHECK: llm.weight @qkv : tensor<64x32xbf16> {scheme = "q4_g32", sources = [#llm.source<tensor = "q", first = 8, count = 32>, #llm.source<tensor = "kv", count = 32>]}
llm.weight @qkv : tensor<64x32xbf16> {sources = [#llm.source<tensor = "q", first = 8, count = 32>, #llm.source<tensor = "kv", count = 32>], scheme = "q4_g32"}
// CHECK: #llm.source<count = 32, zeros = true>
llm.weight @qkv_bias : tensor<64xf32> {sources = [#llm.source<tensor = "q.bias", count = 32>, #llm.source<count = 32, zeros = true>]}
// CHECK: llm.weight @gate_up : tensor<96x32xf32> {interleave = 16 : i64, sources = [
llm.weight @gate_up : tensor<96x32xf32> {interleave = 16 : i64, sources = [#llm.source<tensor = "gate", count = 48>, #llm.source<tensor = "up", count = 48>]}
llm.weight @down : tensor<32x48xf32> {sources = [#llm.source<tensor = "down", count = 32>]}
// CHECK: llm.weight @frequencies : tensor<4xf32> {computed = "rope_frequencies", rope = #llm.rope<dim = 8, base = 1.000000e+04, kind = half, scaling = "llama3", factor = 3.200000e+01, high = 4.000000e+00, original = 8192, beta_fast = 0.33333333333333331>}
llm.weight @frequencies : tensor<4xf32> {computed = "rope_frequencies", rope = #llm.rope<dim = 8, base = 10000.0, kind = half, scaling = "llama3", factor = 32.0, low = 1.0, high = 4.0, original = 8192, beta_fast = 0.33333333333333331>}
llm.weight @slopes : tensor<4xf32> {sources = [#llm.source<tensor = "slopes", count = 4>]}

// CHECK: llm.cache_group @full {element = f32, index = 0 : i64, key_dim = 8 : i64, kv_heads = 2 : i64, layers = 1 : i64, page_tokens = 16 : i64, value_dim = 8 : i64, window = 0 : i64}
llm.cache_group @full {index = 0 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}

// CHECK-LABEL: func.func @step(%arg0: !llm.batch) -> tensor<?x96xf32>
func.func @step(%batch: !llm.batch) -> tensor<?x96xf32> {
  // CHECK: llm.embed %arg0, @table positions @positions {scale = 2.000000e+00 : f64} : tensor<?x32xf32>
  %x = llm.embed %batch, @table positions @positions {scale = 2.0 : f64} : tensor<?x32xf32>
  // CHECK: llm.norm layer %{{.*}}, @norm bias @norm_bias {epsilon = 1.000000e-05 : f64} : tensor<?x32xf32>
  %n = llm.norm layer %x, @norm bias @norm_bias {epsilon = 1.0e-5 : f64} : tensor<?x32xf32>
  // CHECK: llm.norm rms %{{.*}} {epsilon = 1.000000e-05 : f64, group = 8 : i64} : tensor<?x32xf32>
  %g = llm.norm rms %n {epsilon = 1.0e-5 : f64, group = 8 : i64} : tensor<?x32xf32>
  // CHECK: %[[QKV:.*]] = llm.linear %{{.*}}, @qkv vectors [@qkv_bias] norm rms @norm eps 1.000000e-05 activations "int8" epilogue (%[[A:.*]]: f32, %[[B:.*]]: f32) {
  // CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[B]] : f32
  // CHECK-NEXT: llm.yield %[[S]]
  // CHECK-NEXT: } : tensor<?x32xf32> -> tensor<?x64xf32>
  %qkv = llm.linear %g, @qkv vectors [@qkv_bias] norm rms @norm eps 1.0e-5 activations "int8" epilogue (%a: f32, %b: f32) {
    %s = arith.addf %a, %b : f32
    llm.yield %s
  } : tensor<?x32xf32> -> tensor<?x64xf32>
  // CHECK: %[[Q:.*]] = llm.slice %[[QKV]] {offset = 0 : i64} : tensor<?x64xf32> -> tensor<?x32xf32>
  %q = llm.slice %qkv {offset = 0 : i64} : tensor<?x64xf32> -> tensor<?x32xf32>
  %k = llm.slice %qkv {offset = 32 : i64} : tensor<?x64xf32> -> tensor<?x16xf32>
  %v = llm.slice %qkv {offset = 48 : i64} : tensor<?x64xf32> -> tensor<?x16xf32>
  // CHECK: llm.rope %arg0, %[[Q]] {heads = 4 : i64, rope = #llm.rope<dim = 8, base = 1.000000e+04, kind = interleaved, scaling = "default">} : tensor<?x32xf32>
  %r = llm.rope %batch, %q {heads = 4 : i64, rope = #llm.rope<dim = 8, base = 10000.0, kind = interleaved, scaling = "default">} : tensor<?x32xf32>
  // CHECK: llm.attention %arg0, %{{.*}}, %{{.*}}, %{{.*}} {alibi = @slopes, heads = 4 : i64, key_dim = 8 : i64, kv_heads = 2 : i64, layer = 0 : i64, scale = 3.535530e-01 : f64, sinks = @slopes, soft_cap = 3.000000e+01 : f64, value_dim = 8 : i64, window = 16 : i64} : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x32xf32>
  %att = llm.attention %batch, %r, %k, %v {layer = 0 : i64, heads = 4 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 0.353553 : f64, soft_cap = 30.0 : f64, window = 16 : i64, sinks = @slopes, alibi = @slopes} : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x32xf32>
  // CHECK: llm.cache_write %arg0, %{{.*}}, %{{.*}} {element = f32, group = 0 : i64
  llm.cache_write %batch, %k, %v {group = 0 : i64, slot = 0 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32} : tensor<?x16xf32>, tensor<?x16xf32>
  // CHECK: llm.paged_attention %arg0, %{{.*}} {element = f32, group = 0 : i64
  %paged = llm.paged_attention %batch, %r {group = 0 : i64, slot = 0 : i64, element = f32, layer = 0 : i64, heads = 4 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 0.353553 : f64} : tensor<?x32xf32> -> tensor<?x32xf32>
  // CHECK: llm.add %{{.*}}, %{{.*}} : tensor<?x32xf32>
  %sum = llm.add %att, %paged : tensor<?x32xf32>
  // CHECK: llm.mul
  %product = llm.mul %sum, %x : tensor<?x32xf32>
  // CHECK: llm.scale %{{.*}} {factor = 5.000000e-01 : f64} : tensor<?x32xf32>
  %scaled = llm.scale %product {factor = 0.5 : f64} : tensor<?x32xf32>
  // CHECK: llm.linear %{{.*}}, @gate_up gated epilogue (%[[GATE:.*]]: f32, %[[UP:.*]]: f32) {
  // CHECK-NEXT: llm.scalar_activation silu %[[GATE]]
  %mlp = llm.linear %scaled, @gate_up gated epilogue (%gate: f32, %up: f32) {
    %act = llm.scalar_activation silu %gate
    %m = arith.mulf %act, %up : f32
    llm.yield %m
  } : tensor<?x32xf32> -> tensor<?x48xf32>
  // CHECK: llm.linear %{{.*}}, @down rows(%{{.*}}) epilogue (%{{.*}}: f32, %{{.*}}: f32) {
  %down = llm.linear %mlp, @down rows(%x) epilogue (%acc: f32, %residual: f32) {
    %s = arith.addf %residual, %acc : f32
    llm.yield %s
  } : tensor<?x48xf32> -> tensor<?x32xf32>
  // CHECK: llm.activation gelu_tanh %{{.*}} : tensor<?x32xf32>
  %act = llm.activation gelu_tanh %down : tensor<?x32xf32>
  // CHECK: llm.select_rows %arg0, %{{.*}} : tensor<?x32xf32>
  %last = llm.select_rows %batch, %act : tensor<?x32xf32>
  // CHECK: llm.linear %{{.*}}, @table norm layer @norm bias @norm_bias eps 1.000000e-05 : tensor<?x32xf32> -> tensor<?x96xf32>
  %logits = llm.linear %last, @table norm layer @norm bias @norm_bias eps 1.0e-5 : tensor<?x32xf32> -> tensor<?x96xf32>
  return %logits : tensor<?x96xf32>
}
