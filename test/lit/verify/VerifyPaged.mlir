// RUN: llmc-opt %s --verify-paged --split-input-file --verify-diagnostics

func.func @attention(%batch: !llm.batch, %q: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{does not go through pages}}
  %a = llm.attention %batch, %q, %q, %q {layer = 0 : i64, heads = 1 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 1.0 : f64} : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  return %a : tensor<?x8xf32>
}

// -----

llm.cache_group @full {index = 0 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}
func.func @unwritten(%batch: !llm.batch, %q: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{reads keys and values before the step's were written}}
  %a = llm.paged_attention %batch, %q {group = 0 : i64, slot = 0 : i64, element = f32, layer = 0 : i64, heads = 1 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x8xf32>
  return %a : tensor<?x8xf32>
}

// -----

llm.cache_group @full {index = 0 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}
func.func @beyond(%batch: !llm.batch, %k: tensor<?x8xf32>) {
  // expected-error @+1 {{slot 1 is beyond the 1 layers of @full}}
  llm.cache_write %batch, %k, %k {group = 0 : i64, slot = 1 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32} : tensor<?x8xf32>, tensor<?x8xf32>
  return
}

// -----

llm.cache_group @full {index = 0 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = bf16}
func.func @differs(%batch: !llm.batch, %k: tensor<?x8xf32>) {
  // expected-error @+1 {{differs from @full in heads, sizes or element}}
  llm.cache_write %batch, %k, %k {group = 0 : i64, slot = 0 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32} : tensor<?x8xf32>, tensor<?x8xf32>
  return
}

// -----

llm.cache_group @full {index = 0 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}
func.func @twice(%batch: !llm.batch, %k: tensor<?x8xf32>) {
  llm.cache_write %batch, %k, %k {group = 0 : i64, slot = 0 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32} : tensor<?x8xf32>, tensor<?x8xf32>
  // expected-error @+1 {{writes slot 0 of group 0 a second time}}
  llm.cache_write %batch, %k, %k {group = 0 : i64, slot = 0 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32} : tensor<?x8xf32>, tensor<?x8xf32>
  return
}

// -----

// expected-error @+1 {{nothing writes slot 0}}
llm.cache_group @full {index = 0 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}

// -----

llm.cache_group @window {index = 0 : i64, layers = 1 : i64, window = 8 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}
// expected-error @+1 {{cache groups without a window come first}}
llm.cache_group @full {index = 1 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}

// -----

// expected-error @+1 {{cache groups must be declared in order of their indices from 0}}
llm.cache_group @full {index = 1 : i64, layers = 1 : i64, window = 0 : i64, page_tokens = 16 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, element = f32}
