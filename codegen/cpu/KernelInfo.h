// What a kernel's table entry says (runtime/abi/kernel.h) and which emitter makes its code.
#pragma once

#include "codegen/Codegen.h"
#include "codegen/cpu/Expression.h"

#include <optional>
#include <string>
#include <vector>

namespace llmc::cpu {

class KernelBuilder;

struct OperandInfo {
  uint32_t access;    // LLMRT_ACCESS_*
  uint32_t alignment; // bytes
  Expression extent;  // bytes
  Expression maximum; // of index operands; empty otherwise
};

struct VariantInfo {
  int64_t firstRows, lastRows; // of scalars[0], inclusive
  int width;                   // what the emitter made of it: rows computed together
  std::optional<Expression> items = {}; // work items of a dispatch, where they are not the kernel's
  std::optional<uint32_t> grain = {};   // likewise
  bool ofTierAlone = false;             // the tier's base, if it has one, has no such code
};

// Everything about a kernel but its code. Filled by describe(); the order of operands and scalars is docs/kernels.md's.
struct KernelInfo {
  std::vector<OperandInfo> operands;
  std::vector<Expression> constraints;
  std::vector<VariantInfo> variants;
  int scalarCount = 0;
  Expression items, scratch;
  uint32_t grain = 1;

  // Operands are added in order.
  void reads(Expression extent, uint32_t alignment = 4);
  void writes(Expression extent, uint32_t alignment = 4);
  void updates(Expression extent, uint32_t alignment = 4);
  void indices(Expression count, Expression maximum);
  // f32 rows: `rows` of them, `columns` used of each, `ld` elements apart.
  void readsRows(Expression rows, Expression columns, Expression ld) { reads(rowBytes(rows, columns, ld)); }
  void writesRows(Expression rows, Expression columns, Expression ld) { writes(rowBytes(rows, columns, ld)); }
  // A value of the artifact's constants that must not be negative.
  void require(Expression nonNegative) { constraints.push_back(std::move(nonNegative)); }
  // ceil(value / unit) blocks: unit * blocks - value in [0, unit).
  void requireCeil(Expression value, Expression blocks, int64_t unit);

private:
  static Expression rowBytes(const Expression &rows, const Expression &columns, const Expression &ld);
};

struct KindEmitter {
  const char *kind;
  KernelInfo (*describe)(exec::KernelOp kernel, const codegen::CpuTier &tier);
  // Null: the code is of GPUs alone, which take the rest from here.
  void (*emit)(KernelBuilder &builder, exec::KernelOp kernel, const VariantInfo &variant);
};

// Null for a kind this target does not know.
const KindEmitter *findKind(llvm::StringRef kind);

// Config values of a kernel; the exec verifier has checked that they are there.
bool configBool(exec::KernelOp kernel, llvm::StringRef key);
int64_t configInt(exec::KernelOp kernel, llvm::StringRef key);
double configFloat(exec::KernelOp kernel, llvm::StringRef key);
llvm::StringRef configString(exec::KernelOp kernel, llvm::StringRef key);

} // namespace llmc::cpu
