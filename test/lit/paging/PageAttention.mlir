// RUN: llmc-opt %s --page-attention="element=bf16" --verify-paged | FileCheck %s
// RUN: not llmc-opt %s --page-attention="element=fp8" 2>&1 | FileCheck %s --check-prefix=ELEMENT
// RUN: not llmc-opt %s --page-attention="page-tokens=32" 2>&1 | FileCheck %s --check-prefix=PAGE
// ELEMENT: unknown element 'fp8' of keys and values; use f32, bf16, f16 or int8
// PAGE: pages of 32 tokens are not supported; use 16

// Layers without a window come first, whichever comes first in the model.
// CHECK: llm.cache_group @full {element = bf16, index = 0 : i64, key_dim = 8 : i64, kv_heads = 2 : i64, layers = 1 : i64, page_tokens = 16 : i64, value_dim = 8 : i64, window = 0 : i64}
// CHECK: llm.cache_group @window64 {element = bf16, index = 1 : i64, key_dim = 8 : i64, kv_heads = 2 : i64, layers = 2 : i64, page_tokens = 16 : i64, value_dim = 8 : i64, window = 64 : i64}
// CHECK-LABEL: func.func @step
func.func @step(%batch: !llm.batch, %q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>) -> tensor<?x32xf32> {
  // CHECK-NEXT: llm.cache_write %arg0, %arg2, %arg3 {element = bf16, group = 1 : i64, key_dim = 8 : i64, kv_heads = 2 : i64, slot = 0 : i64, value_dim = 8 : i64}
  // CHECK-NEXT: %[[A:.*]] = llm.paged_attention %arg0, %arg1 {element = bf16, group = 1 : i64, heads = 4 : i64, key_dim = 8 : i64, kv_heads = 2 : i64, layer = 0 : i64, scale = 2.500000e-01 : f64, slot = 0 : i64, soft_cap = 5.000000e+01 : f64, value_dim = 8 : i64, window = 64 : i64} : tensor<?x32xf32> -> tensor<?x32xf32>
  %a = llm.attention %batch, %q, %k, %v {layer = 0 : i64, heads = 4 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 0.25 : f64, soft_cap = 50.0 : f64, window = 64 : i64} : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x32xf32>
  // CHECK-NEXT: llm.cache_write {{.*}} group = 0 : i64, {{.*}} slot = 0 : i64
  // CHECK-NEXT: %[[B:.*]] = llm.paged_attention %arg0, %[[A]] {element = bf16, group = 0 : i64, {{.*}} slot = 0 : i64
  %b = llm.attention %batch, %a, %k, %v {layer = 1 : i64, heads = 4 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 0.25 : f64} : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x32xf32>
  // CHECK-NEXT: llm.cache_write {{.*}} group = 1 : i64, {{.*}} slot = 1 : i64
  // CHECK-NEXT: %[[C:.*]] = llm.paged_attention %arg0, %[[B]] {element = bf16, group = 1 : i64, {{.*}} slot = 1 : i64
  %c = llm.attention %batch, %b, %k, %v {layer = 2 : i64, heads = 4 : i64, kv_heads = 2 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 0.25 : f64, window = 64 : i64} : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x32xf32>
  // CHECK-NEXT: return %[[C]]
  return %c : tensor<?x32xf32>
}
