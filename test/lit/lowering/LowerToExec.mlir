// RUN: llmc-opt %s --lower-to-exec --split-input-file --verify-diagnostics | FileCheck %s

// Weights nobody names go, equal ones become one. The rows that give logits are gathered by the norm before the head,
// so that nothing is copied; buffers are sized by the step's symbols and lie nowhere yet.
llm.weight @embed : tensor<64x32xf32> {sources = [#llm.source<tensor = "embed", count = 64>]}
llm.weight @again : tensor<64x32xf32> {sources = [#llm.source<tensor = "embed", count = 64>]}
llm.weight @norm : tensor<32xf32> {sources = [#llm.source<tensor = "norm", count = 32>]}
llm.weight @unread : tensor<64x32xf32> {sources = [#llm.source<tensor = "unread", count = 64>]}
// CHECK: llm.weight @embed
// CHECK-NOT: llm.weight @again
// CHECK-NOT: llm.weight @unread
// CHECK-DAG: exec.buffer @[[X:embed[.0-9]*]] "f32" <128 T>{{$}}
// CHECK-DAG: exec.buffer @[[Y:normed[.0-9]*]] "f32" <128 R>{{$}}
// CHECK-DAG: exec.buffer @[[Z:linear[.0-9]*]] "f32" <256 R>{{$}}
// CHECK-NOT: func.func
// CHECK: exec.program @step logits @[[Z]] {
// CHECK-NEXT: exec.dispatch @embed_f32 (input TokenIds, weight @embed, buffer @[[X]]) scalars (1 T, 32, 64, 4, 32, 32) "embed"
// CHECK-NEXT: exec.dispatch @rms_norm_gather (buffer @[[X]], input OutputRows, weight @norm, buffer @[[Y]]) scalars (1 R, 32, 2, 32, 32, 1 T)
// CHECK-NEXT: exec.dispatch @linear_f32 (buffer @[[Y]], weight @embed, buffer @[[Z]]) scalars (1 R, 32, 64, 4, 32, 32, 64)
// CHECK-NEXT: }
func.func @step(%batch: !llm.batch) -> tensor<?x64xf32> {
  %0 = llm.embed %batch, @embed : tensor<?x32xf32>
  %1 = llm.select_rows %batch, %0 : tensor<?x32xf32>
  %2 = llm.linear %1, @again norm rms @norm eps 1.0e-05 : tensor<?x32xf32> -> tensor<?x64xf32>
  return %2 : tensor<?x64xf32>
}

// -----

// Two linears of one kind and different shapes share a kernel: shapes are scalars. What a slice takes is an offset into
// the value it is a slice of, and an int8 linear's input is rounded by the norm before it.
llm.weight @embed : tensor<64x32xf32> {sources = [#llm.source<tensor = "embed", count = 64>]}
llm.weight @a : tensor<96x32xf32> {sources = [#llm.source<tensor = "a", count = 96>], scheme = "q8_g32"}
llm.weight @b : tensor<64x48xf32> {sources = [#llm.source<tensor = "b", count = 64>], scheme = "q8_g32"}
// CHECK-COUNT-1: exec.kernel @linear_q8_g32
// CHECK-NOT: exec.kernel @linear
// CHECK: exec.program @step
// CHECK: exec.dispatch @linear_q8_g32{{[^ ]*}} ({{.*}}, weight @a, buffer @[[A:[^ ]*]]) scalars (1 T, 32, 96, 6,
// CHECK: exec.dispatch @{{[^ ]*}} (buffer @[[A]] + <192>,
// CHECK: exec.dispatch @linear_q8_g32{{[^ ]*}} ({{.*}}, weight @b, buffer @{{[^ ]*}}) scalars ({{1 [TR]}}, 48, 64, 4,
func.func @step(%batch: !llm.batch) -> tensor<?x64xf32> {
  %0 = llm.embed %batch, @embed : tensor<?x32xf32>
  %1 = llm.linear %0, @a activations "int8" : tensor<?x32xf32> -> tensor<?x96xf32>
  %2 = llm.slice %1 {offset = 48 : i64} : tensor<?x96xf32> -> tensor<?x48xf32>
  %3 = llm.linear %2, @b activations "int8" : tensor<?x48xf32> -> tensor<?x64xf32>
  %4 = llm.select_rows %batch, %3 : tensor<?x64xf32>
  return %4 : tensor<?x64xf32>
}

// -----

// Hidden states are an output of their own, for rows of their own, without padding between rows.
llm.weight @embed : tensor<64x33xf32> {sources = [#llm.source<tensor = "embed", count = 64>]}
llm.weight @norm : tensor<33xf32> {sources = [#llm.source<tensor = "norm", count = 33>]}
// CHECK-DAG: exec.buffer @[[H:norm[.0-9]*]] "f32" <192 H>{{$}}
// CHECK-DAG: exec.buffer @[[L:linear[.0-9]*]] "f32" <256 R>{{$}}
// CHECK: exec.program @step logits @[[L]] hidden @[[H]] 33 {
// CHECK: exec.dispatch @rms_norm_gather (buffer @{{[^ ]*}}, input HiddenRows, weight @norm, buffer @[[H]]) scalars (1 H, 33, 3, 48, 33, 1 T)
// CHECK: exec.dispatch @rms_norm_gather (buffer @{{[^ ]*}}, input OutputRows, weight @norm, buffer @{{[^ ]*}}) scalars (1 R, 33, 3, 48, 48, 1 T)
func.func @step(%batch: !llm.batch) -> (tensor<?x64xf32>, tensor<?x33xf32>) {
  %0 = llm.embed %batch, @embed : tensor<?x33xf32>
  %1 = llm.select_rows %batch, %0 {hidden} : tensor<?x33xf32>
  %2 = llm.norm rms %1, @norm {epsilon = 1.0e-05 : f64} : tensor<?x33xf32>
  %3 = llm.select_rows %batch, %0 : tensor<?x33xf32>
  %4 = llm.linear %3, @embed norm rms @norm eps 1.0e-05 : tensor<?x33xf32> -> tensor<?x64xf32>
  return %4, %2 : tensor<?x64xf32>, tensor<?x33xf32>
}

// -----

// Rows of hidden states are no logits.
llm.weight @embed : tensor<64x32xf32> {sources = [#llm.source<tensor = "embed", count = 64>]}
func.func @step(%batch: !llm.batch) -> tensor<?x32xf32> {
  %0 = llm.embed %batch, @embed : tensor<?x32xf32>
  %1 = llm.select_rows %batch, %0 {hidden} : tensor<?x32xf32>
  // expected-error @+1 {{returns the rows of another output as its logits}}
  return %1 : tensor<?x32xf32>
}

// -----

// Attention that does not go through pages yet.
func.func @step(%batch: !llm.batch, %q: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{is lowered after the paging pass only}}
  %a = llm.attention %batch, %q, %q, %q {layer = 0 : i64, heads = 1 : i64, kv_heads = 1 : i64, key_dim = 8 : i64, value_dim = 8 : i64, scale = 1.0 : f64} : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  return %a : tensor<?x8xf32>
}
