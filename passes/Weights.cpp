#include "passes/Weights.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

Weights::Weights(ModuleOp module) : table(module) {
  if (auto all = SymbolTable::getSymbolUses(&module.getBodyRegion()))
    for (SymbolTable::SymbolUse use : *all)
      ++uses[use.getSymbolRef().getLeafReference()];
}

WeightOp Weights::create(WeightOp model, StringRef name, int64_t rows, ArrayRef<Attribute> sources,
                         int64_t interleave) {
  OpBuilder builder(model.getContext());
  SmallVector<int64_t> shape(model.getTensorType().getShape());
  shape[0] = rows;
  auto type = RankedTensorType::get(shape, model.getElement());
  auto weight = WeightOp::create(builder, model.getLoc(), name, type, sources);
  weight.setInterleave(interleave);
  weight.setScheme(model.getScheme());
  table.insert(weight, Block::iterator(model));
  return weight;
}

WeightOp Weights::concatenate(ArrayRef<Part> parts, int64_t interleave) {
  MLIRContext *context = table.getOp()->getContext();
  SmallVector<Attribute> sources;
  SmallVector<StringRef> names;
  WeightOp model;
  int64_t rows = 0;
  for (Part part : parts) {
    if (!part.weight) {
      sources.push_back(SourceAttr::get(context, "", 0, part.length, false, 1.0, 0.0, true));
      rows += part.length;
      continue;
    }
    model = model ? model : part.weight;
    names.push_back(part.weight.getSymName());
    llvm::append_range(sources, part.weight.getSources());
    rows += part.weight.getRows();
  }
  return create(model, joinNames(names), rows, sources, interleave);
}

WeightOp Weights::slice(WeightOp weight, int64_t first, int64_t count) {
  SmallVector<Attribute> sources;
  int64_t begin = 0; // of the source in the weight
  for (auto source : weight.getSources().getAsRange<SourceAttr>()) {
    int64_t from = std::max(first, begin), to = std::min(first + count, begin + source.getCount());
    int64_t tensorRow = source.getZeros() ? 0 : source.getFirst() + (from - begin);
    if (from < to)
      sources.push_back(SourceAttr::get(weight.getContext(), source.getTensor(), tensorRow, to - from,
                                        source.getTranspose(), source.getScale(), source.getAdd(), source.getZeros()));
    begin += source.getCount();
  }
  return create(weight, (weight.getSymName() + ".rows").str(), count, sources, 0);
}

void Weights::drop(FlatSymbolRefAttr name) {
  if (--uses[name.getAttr()] == 0)
    dropped.push_back(name.getAttr());
}

void Weights::eraseUnused() {
  for (StringAttr name : dropped)
    if (uses.lookup(name) == 0)
      if (auto weight = table.lookup<WeightOp>(name))
        table.erase(weight);
  dropped.clear();
}

std::string llmc::joinNames(ArrayRef<StringRef> names) {
  StringRef first = names.front();
  size_t prefix = first.size(), suffix = first.size();
  for (StringRef name : names.drop_front()) {
    size_t same = 0, sameEnd = 0;
    while (same < std::min(prefix, name.size()) && name[same] == first[same])
      ++same;
    prefix = same;
    while (sameEnd < std::min(suffix, name.size()) && name.rbegin()[sameEnd] == first.rbegin()[sameEnd])
      ++sameEnd;
    suffix = sameEnd;
  }
  if (names.size() == 1)
    return first.str();
  // Whole words only: up to the last dot of the prefix, from the first dot of the suffix.
  size_t dot = first.take_front(prefix).rfind('.');
  prefix = dot == StringRef::npos ? 0 : dot + 1;
  dot = first.take_back(suffix).find('.');
  suffix = dot == StringRef::npos ? 0 : suffix - dot;
  auto middle = [&](StringRef name) { return name.drop_front(prefix).drop_back(suffix).str(); };
  return (first.take_front(prefix) + llvm::join(llvm::map_range(names, middle), "_") + first.take_back(suffix)).str();
}
