// The passes of llmc, phase by phase. A pass's class, flag, file and test share one stem.
#ifndef LLMC_PASSES_TD
#define LLMC_PASSES_TD

include "mlir/Pass/PassBase.td"

class Llmc_Pass<string flag> : Pass<flag, "::mlir::ModuleOp"> {
  let dependentDialects = ["::llmc::llm::LlmDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

// ---- fusion --------------------------------------------------------------------------------------------------------
def FuseHorizontal : Llmc_Pass<"fuse-horizontal"> {
  let summary = "Linears that read one value become one linear over their weights, one below the other";
  let description = [{
    Two linears whose results meet as act(gate) * up become one gated linear: a weight of both, dealt out in blocks of
    16 rows, and an epilogue that multiplies. A linear over gate and up already in one tensor likewise. Then all plain
    linears that read one value (q, k and v) become one, and each result a slice of its. Where only some of them have
    a bias, the others get a bias of zeros, made explicit as a source of zeros.
  }];
}

def FuseNormLinear : Llmc_Pass<"fuse-norm-linear"> {
  let summary = "A norm read by one linear alone becomes the linear's norm";
}

def FuseEpilogue : Llmc_Pass<"fuse-epilogue"> {
  let summary = "Elementwise operations after a linear become its epilogue";
  let description = [{
    llm.activation, llm.scale, and llm.add and llm.mul with another value of the step (which becomes one of the
    linear's rows), where they are the only reader of a linear's result. The epilogue grows at its end, so the order of
    the operations on each element does not change.
  }];
}

def FuseMemory : Llmc_Pass<"fuse-memory"> {
  let summary = "What only moves elements becomes an index map";
  let description = [{
    Slices of slices are one slice; a slice of a whole row is none; a slice that is all anybody reads of a plain linear
    narrows its weight; slices of an elementwise operation become operations on slices where less is computed so.
  }];
}

// ---- quantize ------------------------------------------------------------------------------------------------------
def QuantizeLinear : Llmc_Pass<"quantize-linear"> {
  let summary = "Names the scheme of every linear's weight, and what its input is rounded to";
  let description = [{
    Every matrix that a linear multiplies with gets `scheme`, the head's too. A tied embedding is one packed copy that
    serves lookup and head; a table that is only looked up keeps its element type. Vectors and norms are never
    quantized. With scheme "none" activations are "bf16" if the option says so and weights are bf16, else "float".
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", [{"none"}], "none, q8_g32, q4_g32, q4_g128, ...">,
    Option<"activations", "activations", "std::string", [{"int8"}], "of quantized linears: int8, bf16 or float">,
    Option<"element", "element", "std::string", [{""}], "f32, bf16 or f16: what matrices are stored as; empty keeps it">,
  ];
}

// ---- paging --------------------------------------------------------------------------------------------------------
def PageAttention : Llmc_Pass<"page-attention"> {
  let summary = "Attention reads and writes cache groups through page tables";
  let description = [{
    Layers alike in window, heads and head sizes share an llm.cache_group; groups that see everything come first.
    llm.attention becomes llm.cache_write and llm.paged_attention.
  }];
  let options = [
    Option<"element", "element", "std::string", [{"f32"}], "what keys and values are stored as: f32, bf16 or f16">,
    Option<"pageTokens", "page-tokens", "int64_t", "16", "tokens a page">,
  ];
}

// ---- verify --------------------------------------------------------------------------------------------------------
def VerifyFused : Llmc_Pass<"verify-fused"> {
  let summary = "Nothing is left that fusion should have taken: what is true after the phase `fused`";
}
def VerifyQuantized : Llmc_Pass<"verify-quantized"> {
  let summary = "Every linear's weight has the scheme asked for: what is true after the phase `quantized`";
  let options = [
    Option<"scheme", "scheme", "std::string", [{"none"}], "as given to quantize-linear">,
    Option<"activations", "activations", "std::string", [{"int8"}], "as given to quantize-linear">,
  ];
}
def VerifyPaged : Llmc_Pass<"verify-paged"> {
  let summary = "Attention goes through pages, every layer has its place: what is true after the phase `paged`";
}

#endif
