// Rows in, rows out: embed, select_rows, slice, elementwise operations, return.
#include "codegen/lowering/StepLowering.h"

namespace llmc {

using mlir::failed;
using mlir::failure;
using mlir::success;

// A table that is too large for one dispatch is several, each of which writes the tokens whose ids are in its part.
void StepLowering::dispatchEmbed(llm::EmbedOp op, mlir::FlatSymbolRefAttr kernel, Operands operands, Scalars scalars) {
  constexpr size_t kTable = 1, kBlocks = 3;
  llm::WeightOp table = llm::lookupWeight(op, op.getTableAttr());
  int64_t rows = table.getRows(), blocks = ceilDiv(rows, 16), together = unitsTogether(table, 1);
  if (together >= blocks) return dispatch(kernel, operands, scalars, op.getTable());
  for (int64_t first = 0; first < blocks; first += together) {
    int64_t count = std::min(together, blocks - first);
    Operands part = operands;
    Scalars sizes = scalars;
    part[kTable] = moved(part[kTable], first * blockBytes(table));
    sizes[kBlocks] = number(count);
    sizes.append({number(first * 16), number(std::min(rows - first * 16, count * 16))});
    dispatch(kernel, part, sizes, op.getTable());
  }
}

llvm::LogicalResult StepLowering::lowerEmbed(llm::EmbedOp op) {
  llm::WeightOp table = llm::lookupWeight(op, op.getTableAttr());
  auto type = llvm::cast<mlir::RankedTensorType>(table.getType());
  int64_t V = type.getDimSize(0), N = type.getDimSize(1);
  auto parsed = llm::parseScheme(table.getScheme());
  View out = newRows("embed", op.getResult(), exec::Symbol::Tokens);
  Operands operands{input("TokenIds"), weight(op.getTableAttr())};
  Scalars scalars{symbol(exec::Symbol::Tokens), number(N), number(V), number(ceilDiv(V, 16)),
                  number(parsed ? ceilDiv(N, 2 * parsed->group) : N), number(out.ld)};
  if (auto name = op.getPositionsAttr()) {
    llm::WeightOp positionTable = llm::lookupWeight(op, name);
    auto positionType = llvm::cast<mlir::RankedTensorType>(positionTable.getType());
    // Kept in f32 (docs/kernels.md): exact, whatever the checkpoint's type.
    positionTable.setScheme("none");
    positionTable.setType(positionType.clone(builder.getF32Type()));
    int64_t P = positionType.getDimSize(0);
    operands.append({input("Positions"), weight(name)});
    scalars.append({number(P), number(ceilDiv(P, 16))});
  }
  operands.push_back(operand(out));
  llvm::StringRef element = parsed ? "f32" : elementName(type.getElementType());
  ConfigEntries entries{
      {"scheme", builder.getStringAttr(table.getScheme())},
      {"element", builder.getStringAttr(element)},
      {"scale", builder.getF64FloatAttr(op.getScale().convertToDouble())},
      {"positions", builder.getBoolAttr(bool(op.getPositionsAttr()))}};
  bool parts = unitsTogether(table, 1) < ceilDiv(V, 16);
  if (parts) entries.emplace_back("part", builder.getBoolAttr(true));
  std::string name = ("embed_" + (parsed ? table.getScheme() : element) + (parts ? "_part" : "")).str();
  dispatchEmbed(op, kernels.get(name, "embed", config(entries)), operands, scalars);
  setView(op.getResult(), out);
  return success();
}

llvm::LogicalResult StepLowering::lowerSelectRows(llm::SelectRowsOp op) {
  auto input = rowsOf(op.getInput(), op);
  if (failed(input)) return failure();
  if (rowClass(*input) != exec::Symbol::Tokens) return op.emitOpError("selects among rows that were selected already");
  View view = *input;
  view.gathered = op.getHidden() ? exec::Symbol::HiddenRows : exec::Symbol::Rows;
  setView(op.getResult(), view);
  return success();
}

llvm::LogicalResult StepLowering::lowerSlice(llm::SliceOp op) {
  auto input = rowsOf(op.getInput(), op);
  if (failed(input)) return failure();
  View view = *input;
  view.column += op.getOffset();
  view.width = llm::getColumns(op.getResult());
  views[op.getResult()] = view; // its root is its input's
  return success();
}

// The scalar operation, as an epilogue of one argument a row operand.
static void buildScalar(mlir::OpBuilder &b, mlir::Operation &op, mlir::Region &region) {
  mlir::Location loc = op.getLoc();
  llvm::SmallVector<mlir::Type> types(op.getNumOperands(), b.getF32Type());
  llvm::SmallVector<mlir::Location> locations(op.getNumOperands(), loc);
  mlir::Block *block = b.createBlock(&region, region.end(), types, locations);
  mlir::Value x = block->getArgument(0), result;
  if (auto activation = llvm::dyn_cast<llm::ActivationOp>(op)) {
    result = llm::ScalarActivationOp::create(b, loc, x, activation.getKind());
  } else if (llvm::isa<llm::AddOp>(op)) {
    result = mlir::arith::AddFOp::create(b, loc, x, block->getArgument(1));
  } else if (llvm::isa<llm::MulOp>(op)) {
    result = mlir::arith::MulFOp::create(b, loc, x, block->getArgument(1));
  } else {
    float factor = float(llvm::cast<llm::ScaleOp>(op).getFactor().convertToDouble());
    auto constant = mlir::arith::ConstantOp::create(b, loc, b.getF32FloatAttr(factor));
    result = mlir::arith::MulFOp::create(b, loc, x, constant);
  }
  llm::YieldOp::create(b, loc, result);
}

llvm::LogicalResult StepLowering::lowerElementwise(mlir::Operation &op) {
  llvm::SmallVector<View> rowOperands;
  Operands operands;
  for (mlir::Value value : op.getOperands()) {
    auto view = rowsOf(value, &op);
    if (failed(view)) return failure();
    rowOperands.push_back(*view);
    operands.push_back(operand(*view));
  }
  exec::Symbol rows = rowClass(rowOperands.front());
  if (rowClass(rowOperands.back()) != rows)
    return op.emitOpError("combines rows of the whole step with wanted rows");
  int64_t N = llm::getColumns(op.getResult(0));
  View out = resultRows("map", op.getResult(0), rows, rowOperands, {});
  operands.push_back(operand(out));
  Scalars scalars{symbol(rows), number(N), number(ceilDiv(N, 16)), number(out.ld)};
  for (const View &view : rowOperands) scalars.push_back(number(view.ld));
  mlir::Region epilogue;
  mlir::OpBuilder scalarBuilder(context);
  buildScalar(scalarBuilder, op, epilogue);
  std::string name = ("map_" + op.getName().stripDialect()).str();
  auto kernel = kernels.get(name, "map",
                            config({{"rows", builder.getI64IntegerAttr(int64_t(rowOperands.size()))},
                                    {"vectors", builder.getI64IntegerAttr(0)}}),
                            &epilogue);
  dispatch(kernel, operands, scalars);
  setView(op.getResult(0), out);
  return success();
}

// An output must be a buffer of its own, [rows][columns].
llvm::FailureOr<View> StepLowering::outputRows(mlir::Operation *op, mlir::Value value, llvm::StringRef name,
                                               exec::Symbol rows) {
  auto found = views.find(value);
  if (found == views.end()) return op->emitOpError("returns a value that is not rows of the step");
  View view = found->second;
  bool whole = view.column == 0 && view.ld == view.width && !view.gathered;
  if (whole && rowClass(view) == rows) return view;
  if (rowClass(view) == exec::Symbol::Tokens) view.gathered = rows;
  if (rowClass(view) != rows) return op->emitOpError("returns the rows of another output as its ") << name;
  View out = newRows(name, value, rows);
  if (failed(emitNorm(op, view, {}, out))) return failure();
  return out;
}

llvm::LogicalResult StepLowering::lowerReturn(mlir::func::ReturnOp op) {
  auto rows = outputRows(op, logits, "logits", exec::Symbol::Rows);
  if (failed(rows)) return failure();
  program.setLogits(buffers[rows->buffer].op.getSymName());
  if (hidden) {
    auto view = outputRows(op, hidden, "hidden", exec::Symbol::HiddenRows);
    if (failed(view)) return failure();
    program.setHidden(buffers[view->buffer].op.getSymName());
    program.setHiddenWidth(view->width);
  }
  if (options.candidates) emitCandidates(*rows);
  return success();
}

// The best of each row by levels: a level leaves the best of each run of kTopKColumns of the one before, until one run is
// left. Rows that are hardly longer than what is kept of them have none.
void StepLowering::emitCandidates(const View &rows) {
  constexpr int64_t kCount = exec::kTopKMost, kPairBytes = 8;
  if (4 * rows.width <= kPairBytes * kCount) return;
  mlir::Attribute from = operand(rows);
  int64_t columns = rows.width, ld = rows.ld;
  for (bool pairs = false; columns > kCount; pairs = true) {
    int64_t runs = ceilDiv(columns, exec::kTopKColumns);
    unsigned best = newBuffer(runs == 1 ? "candidates" : "best", "i32", exec::Symbol::Rows, runs * kCount * kPairBytes);
    auto kernel = kernels.get(pairs ? "top_k_pairs" : "top_k", "top_k",
                              config({{"count", builder.getI64IntegerAttr(kCount)}, {"pairs", builder.getBoolAttr(pairs)}}));
    dispatch(kernel, {from, operand(best)},
             {symbol(exec::Symbol::Rows), number(columns), number(runs), number(ld)});
    program.setCandidates(buffers[best].op.getSymName());
    from = operand(best);
    columns = ld = runs * kCount;
  }
  program.setCandidateCount(kCount);
}

} // namespace llmc
