// The exec dialect: the program as the runtime runs it, one to one with the artifact's flatbuffer.
#ifndef EXEC_DIALECT_TD
#define EXEC_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"

def Exec_Dialect : Dialect {
  let name = "exec";
  let summary = "Dispatches over planned buffers";
  let cppNamespace = "::llmc::exec";
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::llmc::llm::LlmDialect"];
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerOperations();
  }];
}

class Exec_Attr<string name, string attrMnemonic> : AttrDef<Exec_Dialect, name> { let mnemonic = attrMnemonic; }

def Exec_SizeAttr : Exec_Attr<"Size", "size"> {
  let summary = "A size as a polynomial in the step's symbols";
  let description = [{
    The sum of coefficient x symbol x symbol, e.g. `#exec.size<64 + 256 T + 4 S B>`. Symbols are those of the
    artifact's schema: T tokens, S sequences, R rows, B blocks of a page table, P0 to P7 pages. Terms are sorted and
    merged: make one through exec::Size.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$coefficients, ArrayRefParameter<"uint8_t">:$first,
                        ArrayRefParameter<"uint8_t">:$second);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Exec_OperandAttr : Exec_Attr<"Operand", "operand"> {
  let summary = "One operand of a dispatch: what it is and a byte offset into it";
  let description = [{
    `kind` is buffer, weight or cache (and `name` the exec.buffer, llm.weight or llm.cache_group), or input (and `name`
    the schema's Input). `group` is the cache group's index of a cache and of the input PageTable, else 0.
    A dispatch prints it as `buffer @x + <256 T>`, `input PageTable[0]`, `cache @full[0]`.
  }];
  let parameters = (ins StringRefParameter<"buffer, weight, input or cache">:$kind,
                        StringRefParameter<"symbol name; for input the schema's Input name">:$name,
                        "int64_t":$group, "::llmc::exec::SizeAttr":$offset);
  let assemblyFormat = "`<` $kind `,` $name `,` $group `,` $offset `>`";
  let genVerifyDecl = 1;
}

def Exec_ScalarAttr : Exec_Attr<"Scalar", "scalar"> {
  let summary = "One scalar of a dispatch: a value, times a symbol (0: One)";
  let description = "Printed as `#exec.scalar<64>`, `#exec.scalar<1 T>`; in a dispatch `64`, `1 T`.";
  let parameters = (ins "int64_t":$value, "uint8_t":$symbol);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif
