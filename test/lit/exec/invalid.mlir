// What the verifiers of the exec dialect refuse.
// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{unknown kind of kernel 'conv'}}
exec.kernel @k "conv" {}

// -----

// expected-error @+1 {{a kernel 'cache_write' needs config 'element'}}
exec.kernel @k "cache_write" {}

// -----

// expected-error @+1 {{config 'element' must be one of f32|bf16|f16|int8, got "i8"}}
exec.kernel @k "cache_write" {element = "i8"}

// -----

// expected-error @+1 {{config 'element' must be a string, got 3 : i64}}
exec.kernel @k "cache_write" {element = 3 : i64}

// -----

// expected-error @+1 {{a kernel 'cache_write' has no config 'speed'}}
exec.kernel @k "cache_write" {element = "f32", speed = 1 : i64}

// -----

// expected-error @+1 {{int8 needs the quantization scheme of the weight}}
exec.kernel @k "linear" {activations = "int8", element = "f32", gated = false, rows = 0 : i64, scheme = "none", vectors = 0 : i64}

// -----

// expected-error @+1 {{bf16 activations need a quantized weight or one of bf16}}
exec.kernel @k "linear" {activations = "bf16", element = "f16", gated = false, rows = 0 : i64, scheme = "none", vectors = 0 : i64}

// -----

// expected-error @+1 {{epilogue must take 2 f32 values, it takes 1}}
exec.kernel @k "map" {rows = 2 : i64, vectors = 0 : i64} epilogue (%a: f32) {
  llm.yield %a
}

// -----

// expected-error @+1 {{a kernel 'cache_write' has no epilogue}}
exec.kernel @k "cache_write" {element = "f32"} epilogue (%a: f32) {
  llm.yield %a
}

// -----

// expected-error @+1 {{a norm needs config 'epsilon'}}
exec.kernel @k "linear_heads" {activations = "float", cache = "f32", element = "f32", norm = "rms", rope = "half", scheme = "none", vectors = 0 : i64}

// -----

// expected-error @+1 {{a kernel 'linear_heads' has no config 'gated'}}
exec.kernel @k "linear_heads" {activations = "float", cache = "f32", element = "f32", gated = false, norm = "none", rope = "half", scheme = "none", vectors = 0 : i64}

// -----

// expected-error @+1 {{dynamic scaling needs config 'factor'}}
exec.kernel @k "rope_table" {scaling = "dynamic", attention_factor = 1.0 : f64}

// -----

// expected-error @+1 {{unknown element 'f64'}}
exec.buffer @x "f64" <64 T>

// -----

// expected-error @+1 {{bytes and offset must not shrink as a symbol grows}}
exec.buffer @x "f32" <64 + -4 T>

// -----

// expected-error @+1 {{unknown symbol; a size may depend on T, S, R, B, P0 to P7 and H}}
exec.buffer @x "f32" <64 X>

// -----

// expected-error @+1 {{names no exec.buffer of the module: @y}}
exec.program @step logits @y {
}

// -----

exec.buffer @x "f32" <64 T>
exec.kernel @copy "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%a: f32) {
  llm.yield %a
}
exec.program @step logits @x {
  // expected-error @+1 {{names no exec.kernel of the module: @x}}
  exec.dispatch @x (buffer @x, buffer @x) scalars (1 T, 16, 1, 16, 16)
}

// -----

exec.buffer @x "f32" <64 T>
exec.kernel @copy "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%a: f32) {
  llm.yield %a
}
exec.program @step logits @x {
  // expected-error @+1 {{needs 2 operands (rows0, out), has 1}}
  exec.dispatch @copy (buffer @x) scalars (1 T, 16, 1, 16, 16)
}

// -----

exec.buffer @x "f32" <64 T>
exec.kernel @copy "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%a: f32) {
  llm.yield %a
}
exec.program @step logits @x {
  // expected-error @+1 {{needs 5 scalars (n, N, Nb, ldo, ld0), has 4}}
  exec.dispatch @copy (buffer @x, buffer @x) scalars (1 T, 16, 1, 16)
}

// -----

exec.buffer @x "f32" <64 T>
exec.kernel @copy "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%a: f32) {
  llm.yield %a
}
exec.program @step logits @x {
  // expected-error @+1 {{the first scalar is the rows of the step: 1 T, 1 R or 1 H}}
  exec.dispatch @copy (buffer @x, buffer @x) scalars (16, 16, 1, 16, 16)
}

// -----

exec.buffer @x "f32" <64 T>
exec.kernel @copy "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%a: f32) {
  llm.yield %a
}
exec.program @step logits @x {
  // expected-error @+1 {{names no weight of the module: @x}}
  exec.dispatch @copy (weight @x, buffer @x) scalars (1 T, 16, 1, 16, 16)
}

// -----

exec.buffer @x "f32" <64 T>
exec.kernel @copy "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%a: f32) {
  llm.yield %a
}
exec.program @step logits @x {
  // expected-error @+1 {{unknown input 'Weather'}}
  exec.dispatch @copy (input Weather, buffer @x) scalars (1 T, 16, 1, 16, 16)
}

// -----

// expected-error @+1 {{count must be between 1 and 128}}
exec.kernel @k "top_k" {count = 129 : i64, pairs = false}

// -----

exec.buffer @x "f32" <64 R>
exec.kernel @best "top_k" {count = 8 : i64, pairs = false}
// expected-error @+1 {{has candidates and dispatches that make them, or neither}}
exec.program @step logits @x {
  exec.dispatch @best (buffer @x, buffer @x) scalars (1 R, 16, 1, 16)
}

// -----

exec.buffer @x "f32" <64 R>
// expected-error @+1 {{has candidates and dispatches that make them, or neither}}
exec.program @step logits @x candidates @x 8 {
}

// -----

exec.buffer @x "f32" <64 R>
exec.kernel @best "top_k" {count = 8 : i64, pairs = false}
exec.kernel @copy "map" {rows = 1 : i64, vectors = 0 : i64} epilogue (%a: f32) {
  llm.yield %a
}
exec.program @step logits @x candidates @x 8 {
  exec.dispatch @best (buffer @x, buffer @x) scalars (1 R, 16, 1, 16)
  // expected-error @+1 {{follows one that CPUs leave out}}
  exec.dispatch @copy (buffer @x, buffer @x) scalars (1 R, 16, 1, 16, 16)
}
