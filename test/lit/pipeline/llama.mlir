// A layer of Llama with a tied head from import to pages: what the phases leave, their verifiers included.
// RUN: llmc-opt %s --pass-pipeline="builtin.module(fuse)" | FileCheck %s --check-prefixes=CHECK,FUSED
// RUN: llmc-opt %s --pass-pipeline="builtin.module(fuse,quantize-linear{scheme=q8_g32},verify-quantized{scheme=q8_g32},page-attention,verify-paged)" | FileCheck %s --check-prefixes=CHECK,PAGED

// FUSED: llm.weight @embed : tensor<512x64xf32> {sources
// PAGED: llm.weight @embed : tensor<512x64xf32> {scheme = "q8_g32"
// CHECK: llm.weight @l0.attn_norm : tensor<64xf32> {sources
// CHECK: llm.weight @l0.q_k_v : tensor<128x64xf32>
// CHECK: llm.weight @l0.o : tensor<64x64xf32>
// CHECK: llm.weight @l0.mlp_norm : tensor<64xf32> {sources
// CHECK: llm.weight @l0.gate_up : tensor<344x64xf32> {interleave = 16 : i64
// CHECK: llm.weight @l0.down : tensor<64x172xf32>
// CHECK: llm.weight @final_norm : tensor<64xf32> {sources
// PAGED: llm.cache_group @full
// CHECK: func.func @step
// CHECK-NEXT: %[[X:.*]] = llm.embed %arg0, @embed
// FUSED-NEXT: %[[QKV:.*]] = llm.linear %[[X]], @l0.q_k_v norm rms @l0.attn_norm eps 1.000000e-05 : tensor<?x64xf32> -> tensor<?x128xf32>
// PAGED-NEXT: %[[QKV:.*]] = llm.linear %[[X]], @l0.q_k_v norm rms @l0.attn_norm eps 1.000000e-05 activations "int8" : tensor<?x64xf32> -> tensor<?x128xf32>
// CHECK-NEXT: %[[Q:.*]] = llm.slice %[[QKV]] {offset = 0 : i64}
// CHECK-NEXT: %[[K:.*]] = llm.slice %[[QKV]] {offset = 64 : i64}
// CHECK-NEXT: %[[V:.*]] = llm.slice %[[QKV]] {offset = 96 : i64}
// CHECK-NEXT: %[[RQ:.*]] = llm.rope %arg0, %[[Q]]
// CHECK-NEXT: %[[RK:.*]] = llm.rope %arg0, %[[K]]
// FUSED-NEXT: %[[A:.*]] = llm.attention %arg0, %[[RQ]], %[[RK]], %[[V]]
// PAGED-NEXT: llm.cache_write %arg0, %[[RK]], %[[V]]
// PAGED-NEXT: %[[A:.*]] = llm.paged_attention %arg0, %[[RQ]]
// CHECK-NEXT: %[[O:.*]] = llm.linear %[[A]], @l0.o rows(%[[X]])
// CHECK: %[[G:.*]] = llm.linear %[[O]], @l0.gate_up gated norm rms @l0.mlp_norm
// CHECK: %[[D:.*]] = llm.linear %[[G]], @l0.down rows(%[[O]])
// CHECK: %[[S:.*]] = llm.select_rows %arg0, %[[D]]
// CHECK-NEXT: %[[L:.*]] = llm.linear %[[S]], @embed norm rms @final_norm
// CHECK-NEXT: return %[[L]]
llm.weight @embed : tensor<512x64xf32> {sources = [#llm.source<tensor = "model.embed_tokens.weight", count = 512>]}
llm.weight @l0.attn_norm : tensor<64xf32> {sources = [#llm.source<tensor = "model.layers.0.input_layernorm.weight", count = 64>]}
llm.weight @l0.q : tensor<64x64xf32> {sources = [#llm.source<tensor = "model.layers.0.self_attn.q_proj.weight", count = 64>]}
llm.weight @l0.k : tensor<32x64xf32> {sources = [#llm.source<tensor = "model.layers.0.self_attn.k_proj.weight", count = 32>]}
llm.weight @l0.v : tensor<32x64xf32> {sources = [#llm.source<tensor = "model.layers.0.self_attn.v_proj.weight", count = 32>]}
llm.weight @l0.o : tensor<64x64xf32> {sources = [#llm.source<tensor = "model.layers.0.self_attn.o_proj.weight", count = 64>]}
llm.weight @l0.mlp_norm : tensor<64xf32> {sources = [#llm.source<tensor = "model.layers.0.post_attention_layernorm.weight", count = 64>]}
llm.weight @l0.gate : tensor<172x64xf32> {sources = [#llm.source<tensor = "model.layers.0.mlp.gate_proj.weight", count = 172>]}
llm.weight @l0.up : tensor<172x64xf32> {sources = [#llm.source<tensor = "model.layers.0.mlp.up_proj.weight", count = 172>]}
llm.weight @l0.down : tensor<64x172xf32> {sources = [#llm.source<tensor = "model.layers.0.mlp.down_proj.weight", count = 64>]}
llm.weight @final_norm : tensor<64xf32> {sources = [#llm.source<tensor = "model.norm.weight", count = 64>]}
func.func @step(%arg0: !llm.batch) -> tensor<?x512xf32> {
  %0 = llm.embed %arg0, @embed : tensor<?x64xf32>
  %1 = llm.norm rms %0, @l0.attn_norm {epsilon = 1.000000e-05 : f64} : tensor<?x64xf32>
  %2 = llm.linear %1, @l0.q : tensor<?x64xf32> -> tensor<?x64xf32>
  %3 = llm.linear %1, @l0.k : tensor<?x64xf32> -> tensor<?x32xf32>
  %4 = llm.linear %1, @l0.v : tensor<?x64xf32> -> tensor<?x32xf32>
  %5 = llm.rope %arg0, %2 {heads = 8 : i64, rope = #llm.rope<dim = 8, base = 1.000000e+04, kind = half, scaling = "default">} : tensor<?x64xf32>
  %6 = llm.rope %arg0, %3 {heads = 4 : i64, rope = #llm.rope<dim = 8, base = 1.000000e+04, kind = half, scaling = "default">} : tensor<?x32xf32>
  %7 = llm.attention %arg0, %5, %6, %4 {heads = 8 : i64, key_dim = 8 : i64, kv_heads = 4 : i64, layer = 0 : i64, scale = 0.35355339059327373 : f64, value_dim = 8 : i64} : tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x64xf32>
  %8 = llm.linear %7, @l0.o : tensor<?x64xf32> -> tensor<?x64xf32>
  %9 = llm.add %0, %8 : tensor<?x64xf32>
  %10 = llm.norm rms %9, @l0.mlp_norm {epsilon = 1.000000e-05 : f64} : tensor<?x64xf32>
  %11 = llm.linear %10, @l0.gate : tensor<?x64xf32> -> tensor<?x172xf32>
  %12 = llm.linear %10, @l0.up : tensor<?x64xf32> -> tensor<?x172xf32>
  %13 = llm.activation silu %11 : tensor<?x172xf32>
  %14 = llm.mul %13, %12 : tensor<?x172xf32>
  %15 = llm.linear %14, @l0.down : tensor<?x172xf32> -> tensor<?x64xf32>
  %16 = llm.add %9, %15 : tensor<?x64xf32>
  %17 = llm.select_rows %arg0, %16 : tensor<?x64xf32>
  %18 = llm.norm rms %17, @final_norm {epsilon = 1.000000e-05 : f64} : tensor<?x64xf32>
  %19 = llm.linear %18, @embed : tensor<?x64xf32> -> tensor<?x512xf32>
  return %19 : tensor<?x512xf32>
}
