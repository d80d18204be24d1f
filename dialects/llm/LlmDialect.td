// The llm dialect: a transformer as value-semantics operations on a ragged batch of tokens.
//
// A step of the model is one function over a batch: a list of rows, each a token of some sequence at some position.
// Prompt chunks and decodes lie in one batch; nothing but attention looks at more than one row. A tensor of the step
// is tensor<?xNxf32>: one row a token (or, after llm.select_rows, one a wanted output).

#ifndef LLM_DIALECT_TD
#define LLM_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Llm_Dialect : Dialect {
  let name = "llm";
  let summary = "A transformer as operations on a ragged batch of tokens";
  let cppNamespace = "::llmc::llm";
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
    void registerOperations();
  }];
}

class Llm_Type<string name, string typeMnemonic> : TypeDef<Llm_Dialect, name> { let mnemonic = typeMnemonic; }

def Llm_BatchType : Llm_Type<"Batch", "batch"> {
  let summary = "The rows of a step: sequence, position, page tables and wanted outputs of each";
}

// ---- enums ---------------------------------------------------------------------------------------------------------
class Llm_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::llmc::llm";
  let genSpecializedAttr = 0;
}

def Llm_NormKind : Llm_Enum<"NormKind", "what is divided out", [
  I32EnumAttrCase<"Rms", 0, "rms">,     // x / sqrt(mean(x^2) + eps) * weight
  I32EnumAttrCase<"Layer", 1, "layer">, // (x - mean) / sqrt(var + eps) * weight + bias
]>;
def Llm_NormKindAttr : EnumAttr<Llm_Dialect, Llm_NormKind, "norm">;

// As transformers' ACT2FN: gelu is the erf form; gelu_tanh is gelu_new, gelu_pytorch_tanh and (to rounding)
// gelu_fast; quick_gelu is x * sigmoid(1.702 x).
def Llm_ActivationKind : Llm_Enum<"ActivationKind", "elementwise function", [
  I32EnumAttrCase<"Silu", 0, "silu">, I32EnumAttrCase<"Gelu", 1, "gelu">, I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">,
  I32EnumAttrCase<"QuickGelu", 3, "quick_gelu">, I32EnumAttrCase<"Relu", 4, "relu">,
  I32EnumAttrCase<"Relu2", 5, "relu2">, I32EnumAttrCase<"Tanh", 6, "tanh">, I32EnumAttrCase<"Sigmoid", 7, "sigmoid">,
]>;
def Llm_ActivationKindAttr : EnumAttr<Llm_Dialect, Llm_ActivationKind, "act">;

def Llm_RopeKind : Llm_Enum<"RopeKind", "which elements of a head turn together", [
  I32EnumAttrCase<"Half", 0, "half">,               // i and i + rotary/2 (Llama, NeoX)
  I32EnumAttrCase<"Interleaved", 1, "interleaved">, // 2i and 2i + 1 (GPT-J)
]>;
def Llm_RopeKindAttr : EnumAttr<Llm_Dialect, Llm_RopeKind, "rope_kind">;

// ---- attributes ----------------------------------------------------------------------------------------------------
// A double that is printed so that reading it gives the same bits.
class Llm_Real<string value = ""> : AttrOrTypeParameter<"::llmc::llm::Real", "", "double"> {
  let defaultValue = value;
}

class Llm_Attr<string name, string attrMnemonic> : AttrDef<Llm_Dialect, name> { let mnemonic = attrMnemonic; }

def Llm_SourceAttr : Llm_Attr<"Source", "source"> {
  let summary = "Rows of a checkpoint's tensor that make up rows of a weight";
  let description = [{
    Rows [first, first + count) of the tensor called `tensor`, in order. With `transpose` the tensor is stored
    [columns, rows] (GPT-2's Conv1D) and its column r is the weight's row r. A weight is its sources one below the
    other, then `interleave` (see llm.weight). Values are cast to float32 when read, multiplied by `scale`, and
    `add` is added (Gemma's norms: weight + 1). With `zeros` there is no tensor: `count` rows of zeros (the bias of a
    linear without one, merged with linears that have one).
  }];
  let parameters = (ins StringRefParameter<"", "\"\"">:$tensor, DefaultValuedParameter<"int64_t", "0">:$first,
                        "int64_t":$count,
                        DefaultValuedParameter<"bool", "false">:$transpose,
                        Llm_Real<"1.0">:$scale,
                        Llm_Real<"0.0">:$add,
                        DefaultValuedParameter<"bool", "false">:$zeros);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Llm_RopeAttr : Llm_Attr<"Rope", "rope"> {
  let summary = "How angles follow positions";
  let description = [{
    Frequencies inv_freq[i] = base^(-2i/dim) for i in [0, dim/2), changed by `scaling` as transformers'
    modeling_rope_utils does: "default", "linear" (factor), "llama3" (factor, low, high, original), "yarn" (factor,
    original, beta_fast, beta_slow, attention_factor, truncate), "dynamic" (factor, original: the base follows the
    request's RopeLength). cos and sin are multiplied by `attention_factor`. `dim` elements of each head turn.
  }];
  let parameters = (ins "int64_t":$dim, Llm_Real<>:$base, "::llmc::llm::RopeKind":$kind, StringRefParameter<>:$scaling,
                        Llm_Real<"1.0">:$factor,
                        Llm_Real<"1.0">:$low,
                        Llm_Real<"1.0">:$high,
                        DefaultValuedParameter<"int64_t", "0">:$original,
                        Llm_Real<"32.0">:$beta_fast,
                        Llm_Real<"1.0">:$beta_slow,
                        Llm_Real<"1.0">:$attention_factor,
                        DefaultValuedParameter<"bool", "true">:$truncate);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif
