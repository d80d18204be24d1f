// Operations of the exec dialect.
#ifndef EXEC_OPS_TD
#define EXEC_OPS_TD

include "dialects/exec/ExecDialect.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"

class Exec_Op<string opMnemonic, list<Trait> traits = []> : Op<Exec_Dialect, opMnemonic, traits>;

def Exec_KernelOp : Exec_Op<"kernel", [Symbol, IsolatedFromAbove]> {
  let summary = "A kernel that some dispatch runs: its kind, its static configuration and, for some, a scalar epilogue";
  let description = [{
    Equal kernels exist once however many layers use them. docs/kernels.md lists the kinds, their configuration and the
    operands and scalars of their dispatches (exec::kernelShape). The epilogue is that of llm.linear.

    ```mlir
    exec.kernel @add "map" {rows = 2 : i64, vectors = 0 : i64} epilogue (%a: f32, %b: f32) {
      %0 = arith.addf %a, %b : f32
      llm.yield %0
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$kind, DictionaryAttr:$config);
  let regions = (region AnyRegion:$epilogue);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool hasEpilogue() { return !getEpilogue().empty(); }
    // Values of the configuration; the verifier has seen to it that required ones are there.
    ::llvm::StringRef getString(::llvm::StringRef key);  // "" if absent
    int64_t getInteger(::llvm::StringRef key);           // 0 if absent
    double getReal(::llvm::StringRef key);               // 0 if absent
    bool getFlag(::llvm::StringRef key);                 // false if absent
  }];
}

def Exec_BufferOp : Exec_Op<"buffer", [Symbol]> {
  let summary = "A buffer of the arena; `offset` is set by memory planning";
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$element, Exec_SizeAttr:$bytes, OptionalAttr<Exec_SizeAttr>:$offset);
  let assemblyFormat = "$sym_name $element $bytes (`at` $offset^)? attr-dict";
  let hasVerifier = 1;
}

def Exec_ProgramOp : Exec_Op<"program", [Symbol, NoTerminator, SingleBlock, NoRegionArguments,
                                         DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Dispatches, run in order";
  let description = [{
    Its outputs are buffers: the logits; the hidden states, `hidden_width` columns a row; and on GPUs the candidates,
    the `candidate_count` best logits of each row with their ids. What makes those are dispatches of kernels that GPUs
    alone have, behind all others.

    Where a module has programs for several targets each says for which it is, and what the inputs of its linears are
    rounded to: `exec.program @step for ["cpu"] activations "int8" logits @y { ... }`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$logits, OptionalAttr<FlatSymbolRefAttr>:$hidden,
                       OptionalAttr<I64Attr>:$hidden_width, OptionalAttr<FlatSymbolRefAttr>:$candidates,
                       OptionalAttr<I64Attr>:$candidate_count, OptionalAttr<StrArrayAttr>:$targets,
                       OptionalAttr<StrAttr>:$activations);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name (`for` $targets^)? (`activations` $activations^)? `logits` $logits (`hidden` $hidden^ $hidden_width)?
    (`candidates` $candidates^ $candidate_count)? $body attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool isFor(::llvm::StringRef target); // it runs there; without targets it runs everywhere
  }];
}

def Exec_DispatchOp : Exec_Op<"dispatch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>, HasParent<"ProgramOp">]> {
  let summary = "One run of a kernel over all its work items";
  let description = [{
    ```mlir
    exec.dispatch @norm (buffer @h, weight @l0.norm, buffer @x + <64 T>) scalars (1 T, 64, 4, 64, 64, 1 T) "l0.norm"
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, ArrayAttr:$operands, ArrayAttr:$scalars, OptionalAttr<StrAttr>:$label);
  let assemblyFormat = "$kernel custom<Operands>($operands) `scalars` custom<Scalars>($scalars) ($label^)? attr-dict";
}

#endif
