// RUN: llmc-opt %s --lower-to-exec=candidates=true --plan-memory --split-input-file | FileCheck %s

// The best of each row of logits by levels: of 5000 columns three runs, of what those leave one. The last level's are an
// output: they share no memory with what is read from or written to beside them.
llm.weight @embed : tensor<5000x32xf32> {sources = [#llm.source<tensor = "embed", count = 5000>]}
// CHECK-DAG: exec.buffer @[[L:linear[.0-9]*]] "f32" <20032 R> at <[[AT:.*]]>
// CHECK-DAG: exec.buffer @[[B:best[.0-9]*]] "i32" <3072 R> at <
// CHECK-DAG: exec.buffer @[[C:candidates[.0-9]*]] "i32" <1024 R> at <
// CHECK-DAG: exec.kernel @top_k "top_k" {count = 128 : i64, pairs = false}
// CHECK-DAG: exec.kernel @top_k_pairs "top_k" {count = 128 : i64, pairs = true}
// CHECK: exec.program @step logits @[[L]] candidates @[[C]] 128 {
// CHECK: exec.dispatch @linear_f32 ({{.*}}, buffer @[[L]])
// CHECK-NEXT: exec.dispatch @top_k (buffer @[[L]], buffer @[[B]]) scalars (1 R, 5000, 3, 5000)
// CHECK-NEXT: exec.dispatch @top_k_pairs (buffer @[[B]], buffer @[[C]]) scalars (1 R, 384, 1, 384)
// CHECK-NEXT: }
func.func @step(%batch: !llm.batch) -> tensor<?x5000xf32> {
  %0 = llm.embed %batch, @embed : tensor<?x32xf32>
  %1 = llm.select_rows %batch, %0 : tensor<?x32xf32>
  %2 = llm.linear %1, @embed : tensor<?x32xf32> -> tensor<?x5000xf32>
  return %2 : tensor<?x5000xf32>
}

// -----

// Rows that are no longer than what would be kept of them are read whole.
llm.weight @embed : tensor<256x32xf32> {sources = [#llm.source<tensor = "embed", count = 256>]}
// CHECK: exec.program @step logits @{{[^ ]*}} {
// CHECK-NOT: top_k
func.func @step(%batch: !llm.batch) -> tensor<?x256xf32> {
  %0 = llm.embed %batch, @embed : tensor<?x32xf32>
  %1 = llm.select_rows %batch, %0 : tensor<?x32xf32>
  %2 = llm.linear %1, @embed : tensor<?x32xf32> -> tensor<?x256xf32>
  return %2 : tensor<?x256xf32>
}
