// RUN: llmc-opt %s --fuse-horizontal --split-input-file | FileCheck %s

// q, k and v become one linear; what is no longer used is gone.
// CHECK-NOT: llm.weight @l0.q.weight
// CHECK: llm.weight @l0.q_k_v.weight : tensor<64x32xf32> {sources = [#llm.source<tensor = "q", count = 32>, #llm.source<tensor = "k", count = 16>, #llm.source<tensor = "v", first = 16, count = 16>]}
// CHECK-NOT: llm.weight
llm.weight @l0.q.weight : tensor<32x32xf32> {sources = [#llm.source<tensor = "q", count = 32>]}
llm.weight @l0.k.weight : tensor<16x32xf32> {sources = [#llm.source<tensor = "k", count = 16>]}
llm.weight @l0.v.weight : tensor<16x32xf32> {sources = [#llm.source<tensor = "v", first = 16, count = 16>]}
// CHECK-LABEL: func.func @step
func.func @step(%batch: !llm.batch, %x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  // CHECK: %[[QKV:.*]] = llm.linear %arg1, @l0.q_k_v.weight : tensor<?x32xf32> -> tensor<?x64xf32>
  // CHECK: %[[Q:.*]] = llm.slice %[[QKV]] {offset = 0 : i64} : tensor<?x64xf32> -> tensor<?x32xf32>
  // CHECK: %[[K:.*]] = llm.slice %[[QKV]] {offset = 32 : i64} : tensor<?x64xf32> -> tensor<?x16xf32>
  // CHECK: %[[V:.*]] = llm.slice %[[QKV]] {offset = 48 : i64} : tensor<?x64xf32> -> tensor<?x16xf32>
  // CHECK-NOT: llm.linear
  // CHECK: return %[[Q]], %[[K]], %[[V]]
  %q = llm.linear %x, @l0.q.weight : tensor<?x32xf32> -> tensor<?x32xf32>
  %k = llm.linear %x, @l0.k.weight : tensor<?x32xf32> -> tensor<?x16xf32>
  %v = llm.linear %x, @l0.v.weight : tensor<?x32xf32> -> tensor<?x16xf32>
  return %q, %k, %v : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// Only one has a bias: the other's is zeros, said outright.
// CHECK: llm.weight @q_k : tensor<48x32xf32>
// CHECK: llm.weight @q.bias_0 : tensor<48xf32> {sources = [#llm.source<tensor = "qb", count = 32>, #llm.source<count = 16, zeros = true>]}
llm.weight @q : tensor<32x32xf32> {sources = [#llm.source<tensor = "q", count = 32>]}
llm.weight @k : tensor<16x32xf32> {sources = [#llm.source<tensor = "k", count = 16>]}
llm.weight @q.bias : tensor<32xf32> {sources = [#llm.source<tensor = "qb", count = 32>]}
// CHECK-LABEL: func.func @some_bias
func.func @some_bias(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  // CHECK: llm.linear %arg0, @q_k vectors [@q.bias_0] epilogue (%[[A:.*]]: f32, %[[B:.*]]: f32) {
  // CHECK-NEXT: arith.addf %[[A]], %[[B]]
  %q = llm.linear %x, @q vectors [@q.bias] epilogue (%a: f32, %b: f32) {
    %s = arith.addf %a, %b : f32
    llm.yield %s
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %k = llm.linear %x, @k : tensor<?x32xf32> -> tensor<?x16xf32>
  return %q, %k : tensor<?x32xf32>, tensor<?x16xf32>
}

// -----

// act(gate) * up becomes one gated linear, the weight dealt out in blocks of 16 rows.
// CHECK: llm.weight @gate_up : tensor<96x32xf32> {interleave = 16 : i64, sources = [#llm.source<tensor = "gate", count = 48>, #llm.source<tensor = "up", count = 48>]}
llm.weight @gate : tensor<48x32xf32> {sources = [#llm.source<tensor = "gate", count = 48>]}
llm.weight @up : tensor<48x32xf32> {sources = [#llm.source<tensor = "up", count = 48>]}
// CHECK-LABEL: func.func @gated
func.func @gated(%x: tensor<?x32xf32>) -> tensor<?x48xf32> {
  // CHECK-NEXT: %[[Y:.*]] = llm.linear %arg0, @gate_up gated epilogue (%[[G:.*]]: f32, %[[U:.*]]: f32) {
  // CHECK-NEXT: %[[A:.*]] = llm.scalar_activation silu %[[G]]
  // CHECK-NEXT: %[[M:.*]] = arith.mulf %[[A]], %[[U]] : f32
  // CHECK-NEXT: llm.yield %[[M]]
  // CHECK-NEXT: } : tensor<?x32xf32> -> tensor<?x48xf32>
  // CHECK-NEXT: return %[[Y]]
  %g = llm.linear %x, @gate : tensor<?x32xf32> -> tensor<?x48xf32>
  %u = llm.linear %x, @up : tensor<?x32xf32> -> tensor<?x48xf32>
  %a = llm.activation silu %g : tensor<?x48xf32>
  %m = llm.mul %a, %u : tensor<?x48xf32>
  return %m : tensor<?x48xf32>
}

// -----

// The same with biases and the product the other way round: up * act(gate).
// CHECK: llm.weight @gate_up : tensor<96x32xbf16> {interleave = 16 : i64
// CHECK: llm.weight @gate_up.bias : tensor<96xbf16> {interleave = 16 : i64, sources = [#llm.source<tensor = "gb", count = 48>, #llm.source<tensor = "ub", count = 48>]}
llm.weight @gate : tensor<48x32xbf16> {sources = [#llm.source<tensor = "gate", count = 48>]}
llm.weight @up : tensor<48x32xbf16> {sources = [#llm.source<tensor = "up", count = 48>]}
llm.weight @gate.bias : tensor<48xbf16> {sources = [#llm.source<tensor = "gb", count = 48>]}
llm.weight @up.bias : tensor<48xbf16> {sources = [#llm.source<tensor = "ub", count = 48>]}
// CHECK-LABEL: func.func @gated_bias
func.func @gated_bias(%x: tensor<?x32xf32>) -> tensor<?x48xf32> {
  // CHECK: epilogue (%[[G:.*]]: f32, %[[U:.*]]: f32, %[[GB:.*]]: f32, %[[UB:.*]]: f32) {
  // CHECK-NEXT: %[[GS:.*]] = arith.addf %[[G]], %[[GB]]
  // CHECK-NEXT: %[[US:.*]] = arith.addf %[[U]], %[[UB]]
  // CHECK-NEXT: %[[A:.*]] = llm.scalar_activation gelu_tanh %[[GS]]
  // CHECK-NEXT: arith.mulf %[[US]], %[[A]]
  %g = llm.linear %x, @gate vectors [@gate.bias] epilogue (%a: f32, %b: f32) {
    %s = arith.addf %a, %b : f32
    llm.yield %s
  } : tensor<?x32xf32> -> tensor<?x48xf32>
  %u = llm.linear %x, @up vectors [@up.bias] epilogue (%a: f32, %b: f32) {
    %s = arith.addf %a, %b : f32
    llm.yield %s
  } : tensor<?x32xf32> -> tensor<?x48xf32>
  %a = llm.activation gelu_tanh %g : tensor<?x48xf32>
  %m = llm.mul %u, %a : tensor<?x48xf32>
  return %m : tensor<?x48xf32>
}

// -----

// Gate and up in one tensor of the checkpoint.
// CHECK: llm.weight @gate_up_0 : tensor<96x32xf32> {interleave = 16 : i64, sources = [#llm.source<tensor = "gate_up", count = 96>]}
llm.weight @gate_up : tensor<96x32xf32> {sources = [#llm.source<tensor = "gate_up", count = 96>]}
// CHECK-LABEL: func.func @halves
func.func @halves(%x: tensor<?x32xf32>) -> tensor<?x48xf32> {
  // CHECK-NEXT: llm.linear %arg0, @gate_up_0 gated epilogue
  // CHECK-NOT: llm.slice
  %gu = llm.linear %x, @gate_up : tensor<?x32xf32> -> tensor<?x96xf32>
  %g = llm.slice %gu {offset = 0 : i64} : tensor<?x96xf32> -> tensor<?x48xf32>
  %u = llm.slice %gu {offset = 48 : i64} : tensor<?x96xf32> -> tensor<?x48xf32>
  %a = llm.activation silu %g : tensor<?x48xf32>
  %m = llm.mul %a, %u : tensor<?x48xf32>
  return %m : tensor<?x48xf32>
}

// -----

// What is not merged: a weight that something else uses too; other element types; a result that an activation takes.
llm.weight @table : tensor<32x32xf32> {sources = [#llm.source<tensor = "a", count = 32>]}
llm.weight @other : tensor<32x32xf32> {sources = [#llm.source<tensor = "b", count = 32>]}
llm.weight @half : tensor<32x32xf16> {sources = [#llm.source<tensor = "c", count = 32>]}
llm.weight @up : tensor<32x32xf32> {sources = [#llm.source<tensor = "d", count = 32>]}
// CHECK-LABEL: func.func @apart
func.func @apart(%batch: !llm.batch) -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  // CHECK: llm.linear %{{.*}}, @table :
  // CHECK: llm.linear %{{.*}}, @other :
  // CHECK: llm.linear %{{.*}}, @half :
  // CHECK: llm.linear %{{.*}}, @up :
  %x = llm.embed %batch, @table : tensor<?x32xf32>
  %a = llm.linear %x, @table : tensor<?x32xf32> -> tensor<?x32xf32>
  %b = llm.linear %x, @other : tensor<?x32xf32> -> tensor<?x32xf32>
  %c = llm.linear %x, @half : tensor<?x32xf32> -> tensor<?x32xf32>
  %d = llm.linear %x, @up : tensor<?x32xf32> -> tensor<?x32xf32>
  %e = llm.activation gelu %d : tensor<?x32xf32>
  return %a, %b, %c, %e : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}
