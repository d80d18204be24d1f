// What the chips of GPUs have instructions of their own for: each operation has a fast lowering where a target has one,
// and a plain lowering everywhere (LowerChipPlain.cpp).
#ifndef CHIP_OPS_TD
#define CHIP_OPS_TD

include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Chip_Dialect : Dialect {
  let name = "chip";
  let summary = "What differs between GPUs";
  let useDefaultAttributePrinterParser = 1;
  let cppNamespace = "::llmc::chip";
  let description = [{
    Operations on words of 32 bits, f32 and memory of words, to stand among those of gpu, scf, arith and memref in a
    gpu.func whose known_block_size is that of one dimension.

    A *warp* is 32 threads in a row, the first at a multiple of 32, whatever the device's own subgroups are; a *warpgroup*
    is 4 warps, the first at a multiple of 4. `mma`, `warpgroup_mma` and `reduce` are reached by all threads of a workgroup
    together, or by none: their plain lowering has barriers. Their results are those of an order of operations that is
    written here, where the chip has one of its own it is said.
  }];
}

class Chip_Op<string opMnemonic, list<Trait> traits = []> : Op<Chip_Dialect, opMnemonic, traits>;

class Chip_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::llmc::chip";
  let genSpecializedAttr = 0;
}
def Chip_Half : Chip_Enum<"Half", "a type of 16 bits", [I32EnumAttrCase<"Bf16", 0, "bf16">, I32EnumAttrCase<"F16", 1, "f16">]>;
def Chip_HalfAttr : EnumAttr<Chip_Dialect, Chip_Half, "half">;
def Chip_Fold : Chip_Enum<"Fold", "what a reduction does with two values", [I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Max", 1, "max">]>;
def Chip_FoldAttr : EnumAttr<Chip_Dialect, Chip_Fold, "fold">;

def Chip_MmaOp : Chip_Op<"mma", [NoMemoryEffect, AttrSizedOperandSegments]> {
  let summary = "A warp's D = A B + C, of 16 x 16 and 16 x 8 numbers of 16 bits and 16 x 8 f32";
  let description = [{
    Each thread of a warp holds a part of each matrix. With g = (thread mod 32) / 4 and t = thread mod 4:

    | word or number | is |
    |---|---|
    | a0, a1, a2, a3 | A[g][2t, 2t + 1]; A[g + 8][2t, 2t + 1]; A[g][2t + 8, 2t + 9]; A[g + 8][2t + 8, 2t + 9] |
    | b0, b1 | B[2t, 2t + 1][g]; B[2t + 8, 2t + 9][g] |
    | c0, c1, c2, c3, and d alike | C[g][2t]; C[g][2t + 1]; C[g + 8][2t]; C[g + 8][2t + 1] |

    the first of a word's two in its low half: the fragments of PTX's `mma.sync.m16n8k16` with A in rows and B in columns.
    Products of bf16 and of f16 are exact in f32. The plain lowering adds them to C one after the other, each by one fma.
    A tensor core adds them in an order, and with a rounding, of its own, which may be another on each chip; there they
    depend on nothing but row g of A, column 2t of B and C either.

    ```mlir
    %d:4 = chip.mma bf16 a(%a0, %a1, %a2, %a3) b(%b0, %b1) c(%c0, %c1, %c2, %c3)
    ```
  }];
  let arguments = (ins Chip_HalfAttr:$element, Variadic<I32>:$a, Variadic<I32>:$b, Variadic<F32>:$c);
  let results = (outs F32:$d0, F32:$d1, F32:$d2, F32:$d3);
  let assemblyFormat = "$element `a` `(` $a `)` `b` `(` $b `)` `c` `(` $c `)` attr-dict";
  let hasVerifier = 1;
}

def Chip_WarpgroupMmaOp : Chip_Op<"warpgroup_mma"> {
  let summary = "A warpgroup's D = A B, of 64 x 32 and 32 x 64 numbers of 16 bits and 64 x 64 f32; B is in memory";
  let description = [{
    Warp w has rows 16 w to 16 w + 15 of A and of D. With g and t as in `mma`, of those 16 rows:

    | word or number | is |
    |---|---|
    | a(4 s + i), s = 0, 1 | word a(i) of `mma`, of columns 16 s to 16 s + 15 of A |
    | d(4 j + i), j = 0 to 7 | number d(i) of `mma`, of columns 8 j to 8 j + 7 of D |

    B is 1,024 words from an index that is a multiple of 4 (as an address, too): B[8 u + 2 q, 8 u + 2 q + 1][8 j + c] is word
    32 (4 j + u) + 4 c + q. They were written by copies, or stores, which each thread has made seen by `publish`, with a
    barrier behind that; and a barrier comes before they are written again. D depends on column 8 j + c of B there and
    nowhere else, so that columns nobody wants may be anything.

    The order is that of two `mma` the first of which begins with zero: columns 0 to 15 of A, then 16 to 31. They are PTX's
    `wgmma.mma_async.m64n64k16`, twice, with A from registers and B in columns, 8 x 8 numbers at a time without a swizzle.
    Within its 16 products an instruction has an order of its own, which need not be that of the chip's `mma`.

    ```mlir
    %d:32 = chip.warpgroup_mma bf16 a(%a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7) %b[%i]
        : memref<1024xi32, #gpu.address_space<workgroup>>
    ```
  }];
  let arguments = (ins Chip_HalfAttr:$element, Variadic<I32>:$a, Arg<MemRefRankOf<[I32], [1]>, "", [MemRead]>:$b,
                       Index:$index);
  let results = (outs Variadic<F32>:$d);
  let assemblyFormat = [{
    $element `a` `(` $a `)` $b `[` $index `]` attr-dict `:` type($b) custom<Numbers>(type($d))
  }];
  let hasVerifier = 1;
}

def Chip_PublishOp : Chip_Op<"publish"> {
  let summary = "Makes seen by warpgroup_mma what the thread has written to the workgroup's memory, behind a barrier";
  let description = [{
    Copies are written when they have been waited for. Chips read what `warpgroup_mma` multiplies by another way than threads
    write it.
  }];
  let assemblyFormat = "attr-dict";
}

def Chip_CopyOp : Chip_Op<"copy"> {
  let summary = "Words of global memory to a workgroup's, on the way while the thread goes on";
  let description = [{
    `words`, which are 1, 2 or 4, from an index to an index that are both multiples of that (as addresses, too). They are
    there, for the thread that copies, after a `wait` for the group that the next `commit` closes; for the others after
    a barrier behind that. Until then nobody may touch either place. Plainly it is a load and a store at once.

    ```mlir
    chip.copy 4 words %from[%i] to %to[%j] : memref<?xi32>, memref<512xi32, #gpu.address_space<workgroup>>
    ```
  }];
  let arguments = (ins I64Attr:$words, Arg<MemRefRankOf<[I32], [1]>, "", [MemRead]>:$from, Index:$fromIndex,
                       Arg<MemRefRankOf<[I32], [1]>, "", [MemWrite]>:$to, Index:$toIndex);
  let assemblyFormat = [{
    $words `words` $from `[` $fromIndex `]` `to` $to `[` $toIndex `]` attr-dict `:` type($from) `,` type($to)
  }];
  let hasVerifier = 1;
}

def Chip_CommitOp : Chip_Op<"commit"> {
  let summary = "Closes a group: the thread's copies since the last one, which may be none";
  let assemblyFormat = "attr-dict";
}

def Chip_WaitOp : Chip_Op<"wait"> {
  let summary = "Until at most the last `groups` of the thread's closed groups are on their way";
  let arguments = (ins I64Attr:$groups);
  let assemblyFormat = "$groups attr-dict";
  let hasVerifier = 1;
}

def Chip_Dot4Op : Chip_Op<"dot4", [Pure]> {
  let summary = "c + the sum of products of the bytes of two words";
  let description = [{
    Bytes are signed, with `unsigned` those of a are not. The sum wraps around.

    ```mlir
    %sum = chip.dot4 %a, %b, %c unsigned
    ```
  }];
  let arguments = (ins I32:$a, I32:$b, I32:$c, UnitAttr:$unsignedA);
  let results = (outs I32:$result);
  let assemblyFormat = "$a `,` $b `,` $c (`unsigned` $unsignedA^)? attr-dict";
}

def Chip_AddPairsOp : Chip_Op<"add_pairs", [Pure]> {
  let summary = "The sums of two words' pairs of bf16";
  let description = [{
    Each is that of the two numbers rounded once, to nearest even. Which NaN comes of one is open.

    ```mlir
    %sums = chip.add_pairs %a, %b
    ```
  }];
  let arguments = (ins I32:$a, I32:$b);
  let results = (outs I32:$result);
  let assemblyFormat = "$a `,` $b attr-dict";
}

def Chip_ReduceOp : Chip_Op<"reduce", [NoMemoryEffect]> {
  let summary = "A value over neighbouring threads, in each of them";
  let description = [{
    `across` threads in a row, 2, 4, 8, 16 or 32, the first at a multiple of that. Value i is taken together with value
    i + across/2, what comes of it with that across/4 further, and so on: the tree of all our sums. `max` is of numbers;
    which of two zeros it gives is open.

    ```mlir
    %sum = chip.reduce sum %x across 16
    ```
  }];
  let arguments = (ins Chip_FoldAttr:$fold, F32:$value, I64Attr:$across);
  let results = (outs F32:$result);
  let assemblyFormat = "$fold $value `across` $across attr-dict";
  let hasVerifier = 1;
}

#endif
