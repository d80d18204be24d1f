#include "codegen/lowering/StepLowering.h"

#include "codegen/lowering/Lowering.h"
#include "codegen/schemes/Scheme.h"

namespace llmc {

llvm::StringRef elementName(mlir::Type type) {
  if (type.isF32()) return "f32";
  if (type.isBF16()) return "bf16";
  if (type.isF16()) return "f16";
  return "";
}

StepLowering::StepLowering(mlir::func::FuncOp step, mlir::ModuleOp module, const LoweringOptions &options)
    : options(options), step(step), module(module), builder(step), globals(step), context(step.getContext()),
      program(exec::ProgramOp::create(builder, step.getLoc(), "step", "logits", nullptr, nullptr, nullptr, nullptr, nullptr,
                                        nullptr)),
      kernels(program) {
  builder.createBlock(&program.getBody());
  globals.setInsertionPoint(program);
}

llvm::LogicalResult StepLowering::run() {
  if (!step.getBody().hasOneBlock() || step.getNumResults() < 1 || step.getNumResults() > 2)
    return step.emitOpError("is not a step: one block is lowered, and logits, or logits and hidden states");
  numberOps();
  if (mlir::failed(emitRopeTables())) return mlir::failure();
  for (mlir::Operation &op : step.front()) {
    if (folded.contains(&op)) continue;
    position = positions[&op];
    builder.setInsertionPointToEnd(&program.getBody().front());
    if (mlir::failed(lower(op))) return mlir::failure();
  }
  step.erase();
  program.setSymName("step");
  return mlir::success();
}

llvm::LogicalResult StepLowering::lower(mlir::Operation &op) {
  if (auto o = llvm::dyn_cast<llm::EmbedOp>(op)) return lowerEmbed(o);
  if (auto o = llvm::dyn_cast<llm::SelectRowsOp>(op)) return lowerSelectRows(o);
  if (auto o = llvm::dyn_cast<llm::NormOp>(op)) return lowerNorm(o);
  if (auto o = llvm::dyn_cast<llm::LinearOp>(op)) return lowerLinear(o);
  if (auto o = llvm::dyn_cast<llm::SliceOp>(op)) return lowerSlice(o);
  if (auto o = llvm::dyn_cast<llm::RopeOp>(op)) return lowerRope(o);
  if (auto o = llvm::dyn_cast<llm::CacheWriteOp>(op)) return lowerCacheWrite(o);
  if (auto o = llvm::dyn_cast<llm::PagedAttentionOp>(op)) return lowerAttention(o);
  if (auto o = llvm::dyn_cast<mlir::func::ReturnOp>(op)) return lowerReturn(o);
  if (llvm::isa<llm::ActivationOp, llm::AddOp, llm::MulOp, llm::ScaleOp>(op)) return lowerElementwise(op);
  if (llvm::isa<llm::AttentionOp>(op)) return op.emitOpError("is lowered after the paging pass only");
  return op.emitOpError("has no lowering to exec");
}

// ---- values ----------------------------------------------------------------------------------------------------------

void StepLowering::numberOps() {
  unsigned next = 0;
  for (mlir::Operation &op : step.front()) positions[&op] = next++;
  mlir::Operation *results = step.front().getTerminator();
  logits = results->getOperand(0);
  if (results->getNumOperands() > 1) hidden = results->getOperand(1);
}

bool StepLowering::isFoldedIntoRope(llm::NormOp op) {
  return op.getGroup() > 0 && op.getKind() == llm::NormKind::Rms && op.getResult().hasOneUse() &&
         llvm::isa<llm::RopeOp>(*op.getResult().user_begin());
}

// Reads of `value`, `column` columns into its root. What is lowered where its result is used counts there too.
void StepLowering::collectUses(mlir::Value value, int64_t column, int64_t width, std::vector<Use> &uses) {
  for (mlir::Operation *user : value.getUsers()) {
    if (auto slice = llvm::dyn_cast<llm::SliceOp>(user)) {
      collectUses(slice.getResult(), column + slice.getOffset(), llm::getColumns(slice.getResult()), uses);
      continue;
    }
    uses.push_back({column, width, positions[user]});
    auto norm = llvm::dyn_cast<llm::NormOp>(user);
    if (llvm::isa<llm::SelectRowsOp>(user) || (norm && isFoldedIntoRope(norm)))
      collectUses(user->getResult(0), column, width, uses);
  }
}

void StepLowering::setView(mlir::Value value, View view) {
  views[value] = view;
  if (view.gathered) return; // nothing of its own lies anywhere yet
  Root root{view.column, {}};
  collectUses(value, 0, view.width, root.uses);
  roots[value] = std::move(root);
  buffers[view.buffer].roots.push_back(value);
}

unsigned StepLowering::newBuffer(llvm::StringRef name, llvm::StringRef element, exec::Symbol rows, int64_t rowBytes) {
  std::string symbol = (name + "." + llvm::Twine(buffers.size())).str();
  exec::Size bytes(roundUp(rowBytes, 64), rows);
  auto op = exec::BufferOp::create(globals, step.getLoc(), symbol, element, bytes.toAttr(context), nullptr);
  buffers.push_back({op, rows, {}});
  return unsigned(buffers.size() - 1);
}

View StepLowering::newRows(llvm::StringRef name, mlir::Value value, exec::Symbol rows) {
  int64_t width = llm::getColumns(value);
  // The runtime reads outputs without a stride.
  int64_t ld = isOutput(value) ? width : roundUp(width, 16);
  return {newBuffer(name, "f32", rows, ld * 4), 0, width, ld};
}

exec::Symbol StepLowering::rowClass(const View &view) {
  return view.gathered.value_or(buffers[view.buffer].rows);
}

bool StepLowering::overlap(const View &a, const View &b) {
  return a.buffer == b.buffer && a.column < b.column + b.width && b.column < a.column + a.width;
}

bool StepLowering::isDead(const View &view) {
  for (mlir::Value value : buffers[view.buffer].roots) {
    const Root &root = roots[value];
    for (const Use &use : root.uses) {
      View read{view.buffer, root.column + use.column, use.width, 0};
      if (use.position > position && overlap(read, view)) return false;
    }
  }
  return true;
}

View StepLowering::resultRows(llvm::StringRef name, mlir::Value result, exec::Symbol rows,
                              llvm::ArrayRef<View> candidates, llvm::ArrayRef<View> reads) {
  auto same = [](const View &a, const View &b) { return a.buffer == b.buffer && a.column == b.column; };
  for (const View &candidate : candidates) {
    bool free = !isOutput(result) && candidate.width == llm::getColumns(result) && rowClass(candidate) == rows;
    for (const View &read : reads) free = free && !overlap(candidate, read);
    for (const View &other : candidates) free = free && (same(candidate, other) || !overlap(candidate, other));
    if (free && isDead(candidate)) return candidate;
  }
  return newRows(name, result, rows);
}

llvm::FailureOr<View> StepLowering::rowsOf(mlir::Value value, mlir::Operation *user) {
  auto found = views.find(value);
  if (found == views.end()) {
    user->emitOpError("reads a value that is not rows of the step");
    return mlir::failure();
  }
  if (!found->second.gathered) return found->second;
  View gathered = found->second, out = newRows("selected", value, rowClass(gathered));
  if (mlir::failed(emitNorm(user, gathered, {}, out))) return mlir::failure();
  setView(value, out);
  return out;
}

int64_t blockBytes(llm::WeightOp weight) {
  llvm::StringRef element = elementName(weight.getElement());
  return packing::block_bytes(findScheme(weight.getScheme()), element, weight.getColumns());
}

int64_t StepLowering::unitsTogether(llm::WeightOp weight, int64_t blocks) {
  if (options.maxOperandBytes == 0) return INT64_MAX;
  int64_t units = options.maxOperandBytes / (blocks * blockBytes(weight));
  // Two blocks of 16-bit elements are whole lines of 64 bytes, whatever the columns are: a run begins at one.
  return units < 2 ? 1 : units / 2 * 2;
}

// ---- dispatches ------------------------------------------------------------------------------------------------------

void StepLowering::dispatch(mlir::FlatSymbolRefAttr kernel, llvm::ArrayRef<mlir::Attribute> operands,
                            llvm::ArrayRef<mlir::Attribute> scalars, llvm::StringRef label) {
  exec::DispatchOp::create(builder, step.getLoc(), kernel, builder.getArrayAttr(operands),
                           builder.getArrayAttr(scalars), label.empty() ? nullptr : builder.getStringAttr(label));
}

mlir::Attribute StepLowering::operand(const View &view) {
  return exec::bufferOperand(context, buffers[view.buffer].op.getSymName(), exec::Size(view.column * 4));
}
mlir::Attribute StepLowering::operand(unsigned buffer) {
  return exec::bufferOperand(context, buffers[buffer].op.getSymName());
}
mlir::Attribute StepLowering::weight(mlir::FlatSymbolRefAttr name) {
  return exec::weightOperand(context, name.getValue());
}
mlir::Attribute StepLowering::moved(mlir::Attribute operand, int64_t bytes) {
  auto old = llvm::cast<exec::OperandAttr>(operand);
  exec::Size offset = exec::Size::fromAttr(old.getOffset()) + exec::Size(bytes);
  return exec::OperandAttr::get(context, old.getKind(), old.getName(), old.getGroup(), offset.toAttr(context));
}
mlir::Attribute StepLowering::input(llvm::StringRef name, int64_t group) {
  return exec::inputOperand(context, name, group);
}
mlir::Attribute StepLowering::number(int64_t value) { return exec::scalar(context, value); }
mlir::Attribute StepLowering::symbol(exec::Symbol symbol) { return exec::scalar(context, 1, symbol); }

mlir::DictionaryAttr StepLowering::config(llvm::ArrayRef<std::pair<llvm::StringRef, mlir::Attribute>> entries) {
  llvm::SmallVector<mlir::NamedAttribute> named;
  for (const auto &[name, value] : entries) named.emplace_back(builder.getStringAttr(name), value);
  return builder.getDictionaryAttr(named);
}

// ---- the pass --------------------------------------------------------------------------------------------------------

llvm::LogicalResult lowerToExec(mlir::ModuleOp module, const LoweringOptions &options) {
  auto step = module.lookupSymbol<mlir::func::FuncOp>("step");
  if (!step) return module.emitError("has no func.func @step to lower");
  module.getContext()->getOrLoadDialect<exec::ExecDialect>();
  module.getContext()->getOrLoadDialect<mlir::arith::ArithDialect>();
  mergeEqualWeights(module);
  step.setSymName("step.llm"); // the program takes the name
  return StepLowering(step, module, options).run();
}

bool sameWeight(llm::WeightOp a, llm::WeightOp b) {
  auto strip = [](llm::WeightOp op) {
    mlir::NamedAttrList list(op->getAttrDictionary());
    list.erase(mlir::SymbolTable::getSymbolAttrName());
    list.erase(mlir::SymbolTable::getVisibilityAttrName());
    return list.getDictionary(op.getContext());
  };
  return strip(a) == strip(b) && a.getProperties().getType() == b.getProperties().getType();
}

void mergeEqualWeights(mlir::ModuleOp module) {
  llvm::SmallVector<llm::WeightOp> kept;
  llvm::DenseMap<mlir::Attribute, llvm::SmallVector<llm::WeightOp, 1>> bySources;
  mlir::AttrTypeReplacer replacer;
  llvm::DenseMap<mlir::Attribute, mlir::Attribute> renamed;
  for (auto op : llvm::make_early_inc_range(module.getOps<llm::WeightOp>())) {
    auto &alike = bySources[op.getSources()];
    auto *first = llvm::find_if(alike, [&](llm::WeightOp other) { return sameWeight(op, other); });
    if (first == alike.end()) {
      alike.push_back(op);
      continue;
    }
    renamed[mlir::FlatSymbolRefAttr::get(op.getSymNameAttr())] = mlir::FlatSymbolRefAttr::get(first->getSymNameAttr());
    op.erase();
  }
  replacer.addReplacement([&](mlir::FlatSymbolRefAttr reference) -> std::optional<mlir::Attribute> {
    auto found = renamed.find(reference);
    if (found == renamed.end()) return std::nullopt;
    return found->second;
  });
  llvm::DenseSet<mlir::Attribute> used;
  mlir::AttrTypeWalker walker;
  walker.addWalk([&](mlir::FlatSymbolRefAttr reference) { used.insert(reference.getAttr()); });
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    replacer.recursivelyReplaceElementsIn(function, /*replaceAttrs=*/true);
    function.walk([&](mlir::Operation *op) { walker.walk(op->getAttrDictionary()); });
  }
  for (auto op : llvm::make_early_inc_range(module.getOps<llm::WeightOp>()))
    if (!used.contains(op.getSymNameAttr())) op.erase();
}

} // namespace llmc
