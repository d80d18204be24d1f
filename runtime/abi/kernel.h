// The kernel ABI: what a code segment holds and how a kernel is called. Plain C, shared by llmc and llmrt, and all
// that they share about kernels. Little-endian everywhere. Any change here raises LLMRT_ABI_VERSION.
//
// A code segment is one position-independent block without relocations:
//
//   llmrt_code_header | entries | operands | constraints | terms | padding | machine code and its constants
//
// It is mapped read and execute as it stands. The verifier takes entries and extents from this table alone, so no
// data of an artifact can send a kernel outside its buffers.
#ifndef LLMRT_ABI_KERNEL_H
#define LLMRT_ABI_KERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LLMRT_ABI_VERSION 1u
#define LLMRT_CODE_MAGIC "LLMRTCOD" /* 8 bytes, no terminator */
#define LLMRT_CODE_ALIGNMENT 65536u /* of the segment in the file: the largest page size of a supported system */

// What a kernel is called with. Everything it may touch is reachable from here. A kernel follows the System V
// convention of its architecture on every system, keeps no state, calls nothing, uses at most 4 KB of stack, no red
// zone, no thread-local data and, on arm64, not x18.
typedef struct llmrt_dispatch {
  void *const *operands;  // one pointer for each operand of the kernel's entry, aligned as it says
  const int64_t *scalars; // one value for each scalar
  int64_t begin, end;     // this call does the work items [begin, end) of [0, items)
  void *scratch;          // 64-byte aligned, the entry's scratch bytes, undefined on entry, never shared by threads
} llmrt_dispatch;

typedef void (*llmrt_kernel)(const llmrt_dispatch *);

typedef struct llmrt_code_header {
  char magic[8];
  uint32_t abi_version;
  uint32_t architecture; // llmrt_architecture
  uint32_t kernel_count, operand_count, constraint_count, term_count;
  uint32_t code_offset; // of the machine code, from the start of the segment
  uint32_t code_bytes;  // of the machine code and its constants
  uint64_t features;    // LLMRT_FEATURE_*: what every kernel here needs
} llmrt_code_header;

// SPIRV: a segment of the target "vulkan". Its "instructions" are SPIR-V modules, one a variant, with the entry point
// "main". Binding 0 of set 0 describes the dispatch in int32 words: the scalars, then for each operand the word it
// begins at in its binding, then the work items; binding 1 + i is operand i. `grain` is the work items of a workgroup,
// `scratch` its threads.
//
// PTX, CUBIN: segments of the target "cuda", with a module a variant likewise: PTX text that ends in a zero byte, or a
// cubin. The kernel "main" takes a pointer for each of those bindings.
typedef enum llmrt_architecture {
  LLMRT_ARCH_X86_64 = 1,
  LLMRT_ARCH_ARM64 = 2,
  LLMRT_ARCH_SPIRV = 3,
  LLMRT_ARCH_PTX = 4,
  LLMRT_ARCH_CUBIN = 5
} llmrt_architecture;

// CPU features a tier may need. A bit is set at run time only if the operating system saves the registers too.
#define LLMRT_FEATURE_AVX2 (1ull << 0) /* x86-64-v3 whole: AVX2, FMA, BMI1/2, F16C, LZCNT, MOVBE */
#define LLMRT_FEATURE_AVX512 (1ull << 1) /* x86-64-v4 whole: F, BW, CD, DQ, VL */
#define LLMRT_FEATURE_AVX512_VNNI (1ull << 2)
#define LLMRT_FEATURE_AVX512_BF16 (1ull << 3)
#define LLMRT_FEATURE_AVX_VNNI (1ull << 4)
#define LLMRT_FEATURE_AMX_INT8 (1ull << 5) /* AMX-TILE and AMX-INT8, and the system lets the process use them */
#define LLMRT_FEATURE_NEON (1ull << 16)
#define LLMRT_FEATURE_DOTPROD (1ull << 17)
#define LLMRT_FEATURE_I8MM (1ull << 18)
// Features of a Vulkan device, which a tier of the target "vulkan" may need.
#define LLMRT_FEATURE_STORAGE16 (1ull << 32) /* storageBuffer16BitAccess: loads and stores of 16 bits, no arithmetic */
#define LLMRT_FEATURE_FLOAT16 (1ull << 33) /* shaderFloat16 */
#define LLMRT_FEATURE_INT_DOT (1ull << 34) /* shaderIntegerDotProduct */
#define LLMRT_FEATURE_SUBGROUP_SIZE (1ull << 35) /* subgroupSizeControl and computeFullSubgroups */
#define LLMRT_FEATURE_SUBGROUP_SHUFFLE (1ull << 36) /* shuffles in compute, subgroups of 4 and more whose size is asked for */
#define LLMRT_FEATURE_MATRIX_BF16 (1ull << 37) /* cooperativeMatrix of 16 x 16 x 16 bf16 to f32, in subgroups of 32 */

// A sum of terms; its value on a dispatch is the sum of coefficient x the product of up to three scalars.
typedef struct llmrt_expression {
  uint32_t first_term, term_count;
} llmrt_expression;

typedef struct llmrt_term {
  int64_t coefficient;
  int16_t scalars[3]; // indices into the dispatch's scalars, -1 where there is none
  int16_t reserved;   // 0
} llmrt_term;

#define LLMRT_ACCESS_READ 1u
#define LLMRT_ACCESS_WRITE 2u

typedef struct llmrt_operand {
  uint32_t access;          // LLMRT_ACCESS_* bits
  uint32_t alignment;       // bytes, a power of two
  llmrt_expression extent;  // bytes the kernel may touch from the operand's pointer on
  llmrt_expression maximum; // for an operand of indices (int32): every value is in [0, maximum); no terms: not indices
} llmrt_operand;

// Must be >= 0 on the dispatch's scalars, all of them constants of the artifact.
typedef struct llmrt_constraint {
  llmrt_expression value;
} llmrt_constraint;

// One variant of a kernel. Variants of one kernel share `id` and differ in the range of scalars[0] (the rows of the
// step that they are made for); together they cover every value from 0 on, without overlap, in ascending order, and lie
// side by side in the table.
typedef struct llmrt_kernel_entry {
  uint8_t id[16];      // the first half of SHA-256 over the kernel's canonical text
  uint32_t entry;      // of the first instruction, from the start of the segment
  uint32_t code_bytes; // of its instructions
  uint64_t features;   // beyond the segment's
  int64_t first_rows, last_rows; // of scalars[0], both inclusive
  llmrt_expression items;        // work items of a dispatch
  llmrt_expression scratch;      // bytes of scratch a thread needs
  uint32_t first_operand, operand_count;
  uint32_t first_constraint, constraint_count;
  uint32_t scalar_count;
  uint32_t grain; // smallest number of items worth handing to a thread at a time, at least 1
} llmrt_kernel_entry;

// A kernel that is linked into the program, for systems that load no code. It is found by its entry's id, first_rows
// and the tier's name; the tables still come from the artifact's code segment.
typedef struct llmrt_static_kernel {
  uint8_t id[16];
  const char *tier;
  int64_t first_rows;
  llmrt_kernel function;
} llmrt_static_kernel;

// What `llmc compile --emit-kernels` defines in its archive.
typedef struct llmrt_kernel_library {
  uint32_t abi_version; // LLMRT_ABI_VERSION
  uint32_t count;
  const llmrt_static_kernel *kernels;
} llmrt_kernel_library;

#ifdef __cplusplus
}
#endif
#endif
