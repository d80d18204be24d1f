// Operations of the llm dialect. Each says its meaning, its shapes and the order in which it adds up.

#ifndef LLM_OPS_TD
#define LLM_OPS_TD

include "dialects/llm/LlmDialect.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/RegionKindInterface.td"

class Llm_Op<string opMnemonic, list<Trait> traits = []> : Op<Llm_Dialect, opMnemonic, traits>;

// tensor<?xNxf32>: a row a token
def Llm_Rows : RankedTensorOf<[F32], [HasAnyRankOfPred<[2]>,
    CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).isDynamicDim(0)">,
    CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getDimSize(1) > 0">], "tensor<?xNxf32> of rows">;

// The pages of all cache groups. Reads and writes of it keep their order.
def Llm_Pages : Resource<"::llmc::llm::PagesResource">;

def Llm_Count : ConfinedAttr<I64Attr, [IntPositive]>;
def Llm_Index : ConfinedAttr<I64Attr, [IntNonNegative]>;

def Llm_SymbolUser : DeclareOpInterfaceMethods<SymbolUserOpInterface>;

def Llm_WeightOp : Llm_Op<"weight", [Symbol]> {
  let summary = "A weight: rows of the checkpoint's tensors, never a constant in the IR";
  let description = [{
    A matrix tensor<NxKxelement> (N outputs, K inputs) or a vector tensor<NxElement>. `sources` are read tile by tile
    when the artifact is written. `interleave` = b (0: none) deals the rows of the weight's two equal halves out in
    turns of b rows: b of the first half, b of the second, ... (a gate and its up projection side by side; the halves
    are padded to whole blocks of b). `scheme` is the quantization scheme ("none" keeps the element type), chosen by
    the quantize pass. `computed` names a table made by llmc instead of sources ("rope_frequencies" with `rope`).

    ```mlir
    llm.weight @l0.q : tensor<64x64xf32> {sources = [#llm.source<tensor = "model.layers.0.self_attn.q_proj.weight", first = 0, count = 64>]}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyRankedTensor>:$type,
                       DefaultValuedAttr<ArrayAttr, "{}">:$sources,
                       DefaultValuedAttr<Llm_Index, "0">:$interleave,
                       DefaultValuedStrAttr<StrAttr, "none">:$scheme,
                       OptionalAttr<StrAttr>:$computed, OptionalAttr<Llm_RopeAttr>:$rope,
                       OptionalAttr<StrAttr>:$sym_visibility);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::RankedTensorType":$type,
                                 "::llvm::ArrayRef<::mlir::Attribute>":$sources)>];
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() { return ::llvm::cast<::mlir::RankedTensorType>(getType()); }
    bool isMatrix() { return getTensorType().getRank() == 2; }
    // The outputs of a matrix, the elements of a vector.
    int64_t getRows() { return getTensorType().getDimSize(0); }
    // The inputs of a matrix; 1 for a vector.
    int64_t getColumns() { return isMatrix() ? getTensorType().getDimSize(1) : 1; }
    ::mlir::Type getElement() { return getTensorType().getElementType(); }
  }];
}

def Llm_EmbedOp : Llm_Op<"embed", [Pure, Llm_SymbolUser]> {
  let summary = "Rows of a table by token id, plus rows of another by position";
  let description = "Row r is table[id(r)] x scale, then + positions[position(r)]; ids and positions are the batch's.";
  let arguments = (ins Llm_BatchType:$batch, FlatSymbolRefAttr:$table, OptionalAttr<FlatSymbolRefAttr>:$positions,
                       DefaultValuedAttr<F64Attr, "1.0">:$scale);
  let results = (outs Llm_Rows:$result);
  let assemblyFormat = "$batch `,` $table (`positions` $positions^)? attr-dict `:` type($result)";
}

def Llm_SelectRowsOp : Llm_Op<"select_rows", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "The rows of the step whose output is wanted";
  let description = [{
    What follows is computed for these rows only: the final norm and the head. `hidden`: the rows whose hidden state is
    wanted, not those whose logits are.
  }];
  let arguments = (ins Llm_BatchType:$batch, Llm_Rows:$input, UnitAttr:$hidden);
  let results = (outs Llm_Rows:$result);
  let assemblyFormat = "$batch `,` $input attr-dict `:` type($result)";
}

def Llm_NormOp : Llm_Op<"norm", [Pure, Llm_SymbolUser, AllTypesMatch<["input", "result"]>]> {
  let summary = "RMS or layer norm over the last axis, or over each group of `group` columns (a head)";
  let description = [{
    Order: 16 strided partial sums (lane = column mod 16, fma), added by halves: lane i to lane i + 8, then 4, 2, 1.
    Layer norm's variance is the sum over (x - mean)^2 in the same order.
  }];
  let arguments = (ins Llm_Rows:$input, OptionalAttr<FlatSymbolRefAttr>:$weight, OptionalAttr<FlatSymbolRefAttr>:$bias,
                       Llm_NormKindAttr:$kind, F64Attr:$epsilon, DefaultValuedAttr<Llm_Index, "0">:$group);
  let results = (outs Llm_Rows:$result);
  let assemblyFormat = "`` $kind $input (`,` $weight^)? (`bias` $bias^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Llm_LinearOp : Llm_Op<"linear", [Pure, IsolatedFromAbove, Llm_SymbolUser]> {
  let summary = "y = x W^T, then an epilogue of scalar operations on each element";
  let description = [{
    `x` is tensor<?xKxf32>, the weight [N, K], the result tensor<?xMxf32> with M = N, or N/2 if `gated`.

    The epilogue's block takes the accumulator (two of them, gate and up, if `gated`: rows of the interleaved
    weight), then one f32 for each of `rows` (tensors of the result's shape, e.g. the residual), then one f32 for each
    of `vectors` (weights of one row, e.g. the bias; a gated bias vector is interleaved and gives two values). It may
    hold arith, math and llm.scalar_activation operations on f32 and ends in llm.yield. No epilogue: the accumulator.

    `norm`: the input is normed first (a prologue; same meaning as llm.norm on x).
    `activations`: what x is rounded to before the product: "float" (not at all), "int8" (symmetric, a scale for each
    128 columns: absmax/127), "bf16". The same for every token count.

    Order, float: one fma chain over 32 columns at a time, the chunks' sums added in order. int8: an exact int32 dot
    in each weight group; an f32 fma chain over the weight scales of the groups in each 128 columns; an fma chain over
    the activation scales of these. `adapter` names a low-rank addend on the unquantized input (none yet).
  }];
  let arguments = (ins Llm_Rows:$input, Variadic<Llm_Rows>:$rows, FlatSymbolRefAttr:$weight,
                       DefaultValuedAttr<ArrayAttr, "{}">:$vectors,
                       DefaultValuedAttr<BoolAttr, "false">:$gated,
                       DefaultValuedStrAttr<StrAttr, "float">:$activations,
                       OptionalAttr<Llm_NormKindAttr>:$norm, OptionalAttr<FlatSymbolRefAttr>:$norm_weight,
                       OptionalAttr<FlatSymbolRefAttr>:$norm_bias, OptionalAttr<F64Attr>:$norm_epsilon,
                       OptionalAttr<StrAttr>:$adapter);
  let results = (outs Llm_Rows:$result);
  let regions = (region AnyRegion:$epilogue);
  let hasVerifier = 1;
  let hasCustomAssemblyFormat = 1;
  let hasCanonicalizer = 1;
  let skipDefaultBuilders = 1;
  let builders = [
    // y = x W^T (+ bias), without rows, norm or gate. `bias` may be null.
    OpBuilder<(ins "::mlir::RankedTensorType":$result, "::mlir::Value":$input, "::mlir::FlatSymbolRefAttr":$weight,
                   "::mlir::FlatSymbolRefAttr":$bias)>,
    OpBuilder<(ins "::mlir::TypeRange":$results, "::mlir::ValueRange":$operands,
                   "::llvm::ArrayRef<::mlir::NamedAttribute>":$attributes)>];
  let extraClassDeclaration = [{
    bool hasEpilogue() { return !getEpilogue().empty(); }
    // Block arguments that are accumulators, and values that each of `vectors` gives: 2 if gated, else 1.
    unsigned getFanout() { return getGated() ? 2 : 1; }
    // The block argument of rows[i].
    ::mlir::BlockArgument getRowArgument(unsigned i) { return getEpilogue().getArgument(getFanout() + i); }
    // The block argument of vectors[i]; `up` picks the second of a gated one.
    ::mlir::BlockArgument getVectorArgument(unsigned i, bool up = false) {
      return getEpilogue().getArgument(getFanout() + getRows().size() + i * getFanout() + up);
    }
    int64_t getOutputColumns() { return ::llvm::cast<::mlir::RankedTensorType>(getResult().getType()).getDimSize(1); }
    // Adds a block with the accumulators and, where there are rows and vectors, their arguments; no terminator.
    ::mlir::Block *createEpilogue(::mlir::OpBuilder &builder);
  }];
}

def Llm_ScalarActivationOp : Llm_Op<"scalar_activation", [Pure]> {
  let summary = "An activation function on one f32, inside an epilogue";
  let arguments = (ins F32:$input, Llm_ActivationKindAttr:$kind);
  let results = (outs F32:$result);
  let assemblyFormat = "`` $kind $input attr-dict";
}

def Llm_YieldOp : Llm_Op<"yield", [Pure, Terminator]> {
  let summary = "The value of an element, at the end of an epilogue";
  let arguments = (ins F32:$value);
  let assemblyFormat = "$value attr-dict";
}

def Llm_ActivationOp : Llm_Op<"activation", [Pure, SameOperandsAndResultType]> {
  let arguments = (ins Llm_Rows:$input, Llm_ActivationKindAttr:$kind);
  let results = (outs Llm_Rows:$result);
  let assemblyFormat = "`` $kind $input attr-dict `:` type($result)";
}

class Llm_BinaryOp<string opMnemonic, string what> : Llm_Op<opMnemonic, [Pure, SameOperandsAndResultType]> {
  let summary = what;
  let arguments = (ins Llm_Rows:$lhs, Llm_Rows:$rhs);
  let results = (outs Llm_Rows:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}
def Llm_AddOp : Llm_BinaryOp<"add", "Elementwise sum">;
def Llm_MulOp : Llm_BinaryOp<"mul", "Elementwise product">;

def Llm_ScaleOp : Llm_Op<"scale", [Pure, SameOperandsAndResultType]> {
  let summary = "Every element times a constant";
  let description = "The factor is rounded to float32 first.";
  let arguments = (ins Llm_Rows:$input, F64Attr:$factor);
  let results = (outs Llm_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Llm_SliceOp : Llm_Op<"slice", [Pure]> {
  let summary = "Columns [offset, offset + width) of every row: an index map, never a copy";
  let arguments = (ins Llm_Rows:$input, Llm_Index:$offset);
  let results = (outs Llm_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Llm_RopeOp : Llm_Op<"rope", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "Rotary position embedding on each head of a row";
  let description = [{
    The angle is the float32 product position x inv_freq[i], as transformers computes it; its cosine and sine are
    ours, exact to half an ulp of float32. `heads` heads of columns/heads elements, of which the first `rope.dim` turn.
  }];
  let arguments = (ins Llm_BatchType:$batch, Llm_Rows:$input, Llm_Count:$heads, Llm_RopeAttr:$rope);
  let results = (outs Llm_Rows:$result);
  let assemblyFormat = "$batch `,` $input attr-dict `:` type($result)";
  let hasVerifier = 1;
}

class Llm_AttentionBase<string opMnemonic, list<Trait> traits, dag inputs> : Llm_Op<opMnemonic, traits> {
  let arguments = !con(inputs, (ins Llm_Index:$layer, Llm_Count:$heads, Llm_Count:$kv_heads, Llm_Count:$key_dim,
      Llm_Count:$value_dim, F64Attr:$scale, DefaultValuedAttr<F64Attr, "0.0">:$soft_cap,
      DefaultValuedAttr<Llm_Index, "0">:$window, OptionalAttr<FlatSymbolRefAttr>:$sinks,
      OptionalAttr<FlatSymbolRefAttr>:$alibi));
  let results = (outs Llm_Rows:$result);
  let hasVerifier = 1;
}

def Llm_AttentionOp : Llm_AttentionBase<"attention", [Pure, Llm_SymbolUser], (ins Llm_BatchType:$batch, Llm_Rows:$query, Llm_Rows:$key, Llm_Rows:$value)> {
  let summary = "Causal attention of each row over its own sequence, as the checkpoint means it";
  let description = [{
    Row r at position p sees keys [max(0, p + 1 - window), p] of its sequence (window 0: all). `scale` multiplies the
    scores; then soft_cap c > 0: c tanh(s / c); then ALiBi's slope x (key - p). `sinks`: a logit a head that joins the
    softmax's sum alone. Before the paging pass keys and values of earlier steps are the batch's business.
  }];
  let assemblyFormat = "$batch `,` $query `,` $key `,` $value attr-dict `:` type($query) `,` type($key) `,` type($value) `->` type($result)";
}

def Llm_CacheWriteOp : Llm_Op<"cache_write", [MemoryEffects<[MemWrite<Llm_Pages>]>]> {
  let summary = "Writes the rows' keys and values into the pages of a cache group";
  let description = "`slot` is the layer's place in the group's pool. Values are rounded to `element` (to nearest even).";
  let arguments = (ins Llm_BatchType:$batch, Llm_Rows:$key, Llm_Rows:$value, Llm_Index:$group, Llm_Index:$slot,
                       Llm_Count:$kv_heads, Llm_Count:$key_dim, Llm_Count:$value_dim, TypeAttr:$element);
  let assemblyFormat = "$batch `,` $key `,` $value attr-dict `:` type($key) `,` type($value)";
  let hasVerifier = 1;
}

def Llm_PagedAttentionOp : Llm_AttentionBase<"paged_attention", [Llm_SymbolUser, MemoryEffects<[MemRead<Llm_Pages>]>], (ins Llm_BatchType:$batch, Llm_Rows:$query,
    Llm_Index:$group, Llm_Index:$slot, TypeAttr:$element)> {
  let summary = "llm.attention through page tables";
  let description = [{
    Order, for each row and head, decode and prompt alike: keys in segments of 256 at absolute positions. In a segment:
    each score one fma chain over key_dim, of queries times scale and log2 e; the largest score m; p = 2^(s - m); l the
    sum of p, key by key modulo 16 and then by halves (8, 4, 2, 1); o one fma chain over the keys. Segments are combined
    in order, first to last: M' = max(M, m), o = o 2^(M - M') + o_segment 2^(m - M'), l likewise. A masked key gives
    p = 0 exactly, so a block that is masked and one that is skipped give the same bits. Where pages are bf16 and the
    tier has the bf16 dot, queries (after their factors) and p are rounded to bf16 and a chain takes two at a time.
  }];
  let assemblyFormat = "$batch `,` $query attr-dict `:` type($query) `->` type($result)";
}

def Llm_CacheGroupOp : Llm_Op<"cache_group", [Symbol]> {
  let summary = "Layers whose keys and values are kept alike; made by the paging pass";
  let arguments = (ins SymbolNameAttr:$sym_name, Llm_Index:$index, Llm_Count:$layers, Llm_Index:$window, Llm_Count:$page_tokens,
                       Llm_Count:$kv_heads, Llm_Count:$key_dim, Llm_Count:$value_dim, TypeAttr:$element);
  let assemblyFormat = "$sym_name attr-dict";
  let hasVerifier = 1;
}

#endif
