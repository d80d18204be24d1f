// RUN: llmc-opt %s --plan-memory --split-input-file --verify-diagnostics | FileCheck %s

// Buffers of one size class that are never alive together share their place; the largest are placed first. What lives
// beside another lies behind it, and classes lie one behind the other.
// CHECK: exec.buffer @a "f32" <128 T> at <256 T>
// CHECK: exec.buffer @b "f32" <256 T> at <0>
// CHECK: exec.buffer @c "f32" <128 T> at <256 T>
// CHECK: exec.buffer @rows "f32" <64 R> at <384 T>
// CHECK: exec.program @step logits @rows
// CHECK: arena = #exec.size<384 T + 64 R>
exec.buffer @a "f32" <128 T>
exec.buffer @b "f32" <256 T>
exec.buffer @c "f32" <128 T>
exec.buffer @rows "f32" <64 R>
exec.kernel @map "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%x: f32) {
  llm.yield %x
}
exec.program @step logits @rows {
  exec.dispatch @map (buffer @a, buffer @b) scalars (1 T, 32, 2, 64, 32)
  exec.dispatch @map (buffer @b, buffer @c) scalars (1 T, 32, 2, 32, 64)
  exec.dispatch @map (buffer @c, buffer @rows) scalars (1 R, 16, 1, 16, 32)
}

// -----

// The logits are read after the last dispatch: nothing may take their place.
// CHECK: exec.buffer @logits "f32" <64 T> at <0>
// CHECK: exec.buffer @late "f32" <64 T> at <64 T>
exec.buffer @logits "f32" <64 T>
exec.buffer @late "f32" <64 T>
exec.kernel @map "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%x: f32) {
  llm.yield %x
}
exec.program @step logits @logits {
  exec.dispatch @map (buffer @logits, buffer @logits) scalars (1 T, 16, 1, 16, 16)
  exec.dispatch @map (buffer @late, buffer @late) scalars (1 T, 16, 1, 16, 16)
}

// -----

// expected-error @+1 {{has a size that is not a multiple of 64 bytes}}
exec.buffer @odd "f32" <100 T>
exec.program @step logits @odd {
}

// -----

// expected-error @+1 {{has a size that is not one term}}
exec.buffer @two "f32" <128 T + 64>
exec.program @step logits @two {
}

// -----

// expected-error @+1 {{has no exec.program @step to plan the memory of}}
module {
}
