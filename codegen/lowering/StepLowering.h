// The state of one lowering, shared by the ops' lowerings: Lower{Rows,Linear,Attention}.cpp.
#pragma once

#include "codegen/lowering/KernelTable.h"
#include "codegen/lowering/Lowering.h"
#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/Support/LogicalResult.h"

#include <map>
#include <optional>
#include <set>
#include <tuple>

namespace llmc {

// Where an f32 value lies: columns [column, column + width) of a buffer's rows. `gathered`: the value is the wanted
// rows (Rows or HiddenRows) of what lies there, not yet moved; a norm kernel can gather while it reads.
struct View {
  unsigned buffer = 0;
  int64_t column = 0, width = 0, ld = 0;
  std::optional<exec::Symbol> gathered = std::nullopt;
};

// A linear's input rounded into tiles: three buffers of int8 rows, one of bf16 rows; the chunks of a row, and its runs of
// 128 columns.
struct RoundedRows {
  llvm::SmallVector<unsigned, 3> buffers;
  int64_t chunks = 0, runs = 0;
};

// Attention in parts: where they leave their segments, for docs/kernels.md's attention_combine.
struct SplitAttention {
  int64_t parts, rows;
  unsigned segments, last; // buffers
};

class StepLowering {
public:
  StepLowering(mlir::func::FuncOp step, mlir::ModuleOp module, const LoweringOptions &options);
  llvm::LogicalResult run();

private:
  using Operands = llvm::SmallVector<mlir::Attribute, 8>;
  using Scalars = llvm::SmallVector<mlir::Attribute, 12>;
  using ConfigEntries = llvm::SmallVector<std::pair<llvm::StringRef, mlir::Attribute>, 8>;
  struct BufferInfo {
    exec::BufferOp op;
    exec::Symbol rows; // Tokens, Rows or HiddenRows; of what is not rows, what its size is a multiple of
    std::vector<mlir::Value> roots; // values that live here
  };
  // A read of `width` columns from `column` of a root on, by the op at `position` of the step.
  struct Use {
    int64_t column, width;
    unsigned position;
  };
  struct Root {
    int64_t column; // in its buffer
    std::vector<Use> uses;
  };
  struct NormAttrs {
    std::optional<llm::NormKind> kind; // none: the kernel only gathers or quantizes
    mlir::FlatSymbolRefAttr weight, bias;
    double epsilon = 0;
  };

  // What a linear's heads go through until the queries are rows and the others in the cache.
  struct Heads {
    llm::CacheWriteOp write;
    llm::RopeAttr rope;                // null: none
    llm::NormOp queryNorm, keyNorm;    // both or none
    mlir::Value query;                 // what attention reads
    int64_t queries;                   // heads
    llvm::SmallVector<mlir::Operation *> folded; // the ops that the dispatch takes in
  };

  // The ops. Each leaves the result's view in `views`.
  llvm::LogicalResult lower(mlir::Operation &op);
  llvm::LogicalResult lowerEmbed(llm::EmbedOp op);
  void dispatchEmbed(llm::EmbedOp op, mlir::FlatSymbolRefAttr kernel, Operands operands, Scalars scalars);
  llvm::LogicalResult lowerSelectRows(llm::SelectRowsOp op);
  llvm::LogicalResult lowerNorm(llm::NormOp op);
  llvm::LogicalResult lowerSlice(llm::SliceOp op);
  llvm::LogicalResult lowerLinear(llm::LinearOp op);
  llvm::LogicalResult lowerElementwise(mlir::Operation &op);
  llvm::LogicalResult lowerRope(llm::RopeOp op);
  llvm::LogicalResult lowerCacheWrite(llm::CacheWriteOp op);
  llvm::LogicalResult lowerAttention(llm::PagedAttentionOp op);
  llvm::LogicalResult lowerReturn(mlir::func::ReturnOp op);
  void emitCandidates(const View &rows);
  llvm::FailureOr<View> outputRows(mlir::Operation *op, mlir::Value value, llvm::StringRef name, exec::Symbol rows);
  bool isOutput(mlir::Value value) { return value == logits || value == hidden; }
  llvm::LogicalResult emitRopeTables();

  // Values and buffers (StepLowering.cpp)
  void numberOps();
  void collectUses(mlir::Value value, int64_t column, int64_t width, std::vector<Use> &uses);
  bool isFoldedIntoRope(llm::NormOp op);
  unsigned newBuffer(llvm::StringRef name, llvm::StringRef element, exec::Symbol rows, int64_t rowBytes);
  View newRows(llvm::StringRef name, mlir::Value value, exec::Symbol rows);
  void setView(mlir::Value value, View view);
  // The value as rows that any kernel reads: gathers first if that is still to be done.
  llvm::FailureOr<View> rowsOf(mlir::Value value, mlir::Operation *user);
  exec::Symbol rowClass(const View &view);
  // Nothing after the current op reads what lies there.
  bool isDead(const View &view);
  bool overlap(const View &a, const View &b);
  // `candidate` if the result may be written over it, else new rows. `reads`: what the same dispatch reads whole rows
  // of, or other elements of than it writes.
  View resultRows(llvm::StringRef name, mlir::Value result, exec::Symbol rows, llvm::ArrayRef<View> candidates,
                  llvm::ArrayRef<View> reads);
  View makeRows(llvm::StringRef name, const View &input, int64_t width, exec::Symbol rows, const NormAttrs &norm,
                mlir::Value value);

  // Units of `blocks` row blocks of a weight that one dispatch may take (LoweringOptions::maxOperandBytes).
  int64_t unitsTogether(llm::WeightOp weight, int64_t blocks);

  // Dispatches
  void dispatch(mlir::FlatSymbolRefAttr kernel, llvm::ArrayRef<mlir::Attribute> operands,
                llvm::ArrayRef<mlir::Attribute> scalars, llvm::StringRef label = {});
  mlir::Attribute operand(const View &view);
  mlir::Attribute operand(unsigned buffer);
  mlir::Attribute weight(mlir::FlatSymbolRefAttr name);
  mlir::Attribute moved(mlir::Attribute operand, int64_t bytes); // the same, `bytes` further on
  mlir::Attribute input(llvm::StringRef name, int64_t group = 0);
  mlir::Attribute number(int64_t value);
  mlir::Attribute symbol(exec::Symbol symbol);
  mlir::DictionaryAttr config(llvm::ArrayRef<std::pair<llvm::StringRef, mlir::Attribute>> entries);

  // Norms and quantized rows (LowerLinear.cpp)
  llvm::LogicalResult emitNorm(mlir::Operation *op, const View &input, const NormAttrs &norm, const View &out);
  llvm::FailureOr<RoundedRows> int8Input(llm::LinearOp op, llvm::StringRef scheme);
  llvm::FailureOr<RoundedRows> bf16Input(llm::LinearOp op);
  llvm::FailureOr<RoundedRows> roundedInput(llm::LinearOp op, llvm::StringRef out, llvm::StringRef scheme,
                                            RoundedRows rows);
  llvm::FailureOr<View> normedInput(llm::LinearOp op);
  void dispatchLinear(llm::LinearOp op, mlir::FlatSymbolRefAttr kernel, Operands operands, Scalars scalars);
  // Nothing: the linear's outputs are rows.
  std::optional<Heads> headsOf(llm::LinearOp op);
  llvm::LogicalResult dispatchHeads(llm::LinearOp op, Heads heads, std::string name, ConfigEntries entries,
                                    Operands operands, Scalars scalars);
  NormAttrs normOf(llm::LinearOp op);
  llvm::FailureOr<mlir::FlatSymbolRefAttr> vectorOf(mlir::Operation *op, mlir::FlatSymbolRefAttr name, int64_t size);
  void normHead(const View &input, const NormAttrs &norm, Operands &operands, Scalars &scalars);
  mlir::FlatSymbolRefAttr normKernel(const NormAttrs &norm, bool gather, llvm::StringRef out, llvm::StringRef scheme);

  llvm::LogicalResult emitRope(mlir::Operation *op, const View &input, llm::RopeAttr rope, const NormAttrs &norm,
                               int64_t heads, const View &out);
  llvm::FailureOr<llm::CacheGroupOp> cacheGroup(mlir::Operation *op, int64_t index);
  mlir::Attribute pool(llm::CacheGroupOp group, int64_t slot);
  // Makes the buffers that the parts of attention write, if it is to be split.
  std::optional<SplitAttention> splitAttention(llm::PagedAttentionOp op);
  void combineAttention(llm::PagedAttentionOp op, const SplitAttention &split, const View &out);
  llvm::FailureOr<mlir::Attribute> pagedVector(llm::PagedAttentionOp op, mlir::FlatSymbolRefAttr name);

  const LoweringOptions options;
  mlir::func::FuncOp step;
  mlir::ModuleOp module;
  mlir::OpBuilder builder;  // in the program
  mlir::OpBuilder globals;  // before the program: buffers, tables
  mlir::MLIRContext *context;
  exec::ProgramOp program;
  KernelTable kernels;

  llvm::DenseMap<mlir::Operation *, unsigned> positions;
  unsigned position = 0; // of the op being lowered
  std::vector<BufferInfo> buffers;
  llvm::DenseMap<mlir::Value, View> views;
  llvm::DenseMap<mlir::Value, Root> roots;
  llvm::SmallPtrSet<mlir::Operation *, 16> folded; // lowered with an op before them
  mlir::Value logits, hidden; // what the step returns; hidden may be null

  // Copies that several linears share: by input, norm, and what it is rounded for.
  using NormKey = std::tuple<void *, int, void *, void *, double, std::string>;
  NormKey normKey(mlir::Value input, const NormAttrs &norm, llvm::StringRef rounding);
  std::map<NormKey, RoundedRows> rounded;
  std::map<NormKey, View> normed;
  llvm::DenseMap<mlir::Attribute, View> ropeTables; // by RopeAttr, kind left out
};

// "f32", "bf16", "f16" of a weight's or page's element type; empty for others.
llvm::StringRef elementName(mlir::Type type);
llvm::StringRef ropeKind(llm::RopeAttr rope); // "none" of a null one
llm::RopeAttr withoutKind(llm::RopeAttr rope); // a table does not depend on which elements turn together
int64_t blockBytes(llm::WeightOp matrix); // of a row block in the layout rows16
bool sameWeight(llm::WeightOp a, llm::WeightOp b); // but for their names
inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t roundUp(int64_t a, int64_t b) { return ceilDiv(a, b) * b; }

} // namespace llmc
