// llm.linear, and the norms and quantizations before it.
#include "codegen/lowering/StepLowering.h"

namespace llmc {

using mlir::failed;
using mlir::failure;
using mlir::success;

// ---- norm kernels ----------------------------------------------------------------------------------------------------

mlir::FlatSymbolRefAttr StepLowering::normKernel(const NormAttrs &norm, bool gather, llvm::StringRef out,
                                                 llvm::StringRef scheme) {
  llvm::StringRef kind = !norm.kind ? "none" : *norm.kind == llm::NormKind::Rms ? "rms" : "layer";
  std::string name = (kind == "none" ? llvm::Twine("rows") : kind + llvm::Twine("_norm")).str();
  if (gather) name += "_gather";
  if (out != "f32") name += ("_" + out).str();
  if (out == "int8") name += ("_" + scheme).str();
  ConfigEntries entries{
      {"kind", builder.getStringAttr(kind)},
      {"epsilon", builder.getF64FloatAttr(norm.kind ? norm.epsilon : 0.0)},
      {"bias", builder.getBoolAttr(bool(norm.bias))},
      {"gather", builder.getBoolAttr(gather)},
      {"out", builder.getStringAttr(out)}};
  if (out == "int8") entries.emplace_back("scheme", builder.getStringAttr(scheme));
  return kernels.get(name, "norm", config(entries));
}

// What every norm dispatch starts with; the caller adds outputs, and ldo or C, and T.
void StepLowering::normHead(const View &input, const NormAttrs &norm, Operands &operands, Scalars &scalars) {
  operands.push_back(operand(input));
  if (input.gathered)
    operands.push_back(this->input(*input.gathered == exec::Symbol::Rows ? "OutputRows" : "HiddenRows"));
  if (norm.weight) operands.push_back(weight(norm.weight));
  if (norm.bias) operands.push_back(weight(norm.bias));
  scalars.append({symbol(rowClass(input)), number(input.width), number(ceilDiv(input.width, 16)), number(input.ld)});
}

llvm::LogicalResult StepLowering::emitNorm(mlir::Operation *op, const View &input, const NormAttrs &norm,
                                           const View &out) {
  Operands operands;
  Scalars scalars;
  normHead(input, norm, operands, scalars);
  operands.push_back(operand(out));
  scalars.append({number(out.ld), symbol(input.gathered ? exec::Symbol::Tokens : rowClass(input))});
  dispatch(normKernel(norm, input.gathered.has_value(), "f32", ""), operands, scalars);
  return success();
}

llvm::FailureOr<mlir::FlatSymbolRefAttr> StepLowering::vectorOf(mlir::Operation *op, mlir::FlatSymbolRefAttr name,
                                                                int64_t size) {
  if (!name) return op->emitOpError("is a norm without a weight, which is not built");
  llm::WeightOp weight = llm::lookupWeight(op, name);
  if (weight && !weight.isMatrix() && weight.getRows() == size) return name;
  op->emitOpError("needs ") << name << " to be a weight of " << size << " values";
  return failure();
}

llvm::LogicalResult StepLowering::lowerNorm(llm::NormOp op) {
  if (isFoldedIntoRope(op)) return success();
  NormAttrs norm{op.getKind(), op.getWeightAttr(), op.getBiasAttr(), op.getEpsilon().convertToDouble()};
  int64_t columns = llm::getColumns(op.getResult()), size = op.getGroup() > 0 ? int64_t(op.getGroup()) : columns;
  if (failed(vectorOf(op, norm.weight, size)) || (norm.bias && failed(vectorOf(op, norm.bias, size)))) return failure();
  if (op.getGroup() > 0) {
    auto input = rowsOf(op.getInput(), op);
    if (failed(input)) return failure();
    View out = resultRows("head_norm", op.getResult(), rowClass(*input), {*input}, {});
    if (failed(emitRope(op, *input, nullptr, norm, columns / size, out))) return failure();
    setView(op.getResult(), out);
    return success();
  }
  View input = views.lookup(op.getInput());
  View out = newRows("norm", op.getResult(), rowClass(input));
  setView(op.getResult(), out);
  return emitNorm(op, input, norm, out);
}

// ---- the input of a linear -------------------------------------------------------------------------------------------

StepLowering::NormAttrs StepLowering::normOf(llm::LinearOp op) {
  if (!op.getNorm()) return {};
  NormAttrs norm{*op.getNorm(), op.getNormWeightAttr(), op.getNormBiasAttr(),
                 op.getNormEpsilon() ? op.getNormEpsilon()->convertToDouble() : 0.0};
  return norm;
}

StepLowering::NormKey StepLowering::normKey(mlir::Value input, const NormAttrs &norm,
                                            llvm::StringRef rounding) {
  return {input.getAsOpaquePointer(), norm.kind ? int(*norm.kind) : -1,
          const_cast<void *>(norm.weight.getAsOpaquePointer()), const_cast<void *>(norm.bias.getAsOpaquePointer()),
          norm.epsilon, rounding.str()};
}

llvm::FailureOr<View> StepLowering::normedInput(llm::LinearOp op) {
  NormAttrs norm = normOf(op);
  int64_t columns = llm::getColumns(op.getInput());
  if (failed(vectorOf(op, norm.weight, columns)) || (norm.bias && failed(vectorOf(op, norm.bias, columns))))
    return failure();
  NormKey key = normKey(op.getInput(), norm, "");
  if (auto found = normed.find(key); found != normed.end()) return found->second;
  View input = views.lookup(op.getInput());
  View out{newBuffer("normed", "f32", rowClass(input), roundUp(columns, 16) * 4), 0, columns, roundUp(columns, 16)};
  if (failed(emitNorm(op, input, norm, out))) return failure();
  normed[key] = out;
  return out;
}

// Columns that share an activation scale, and that a norm rounds at a time.
static constexpr int64_t kRunColumns = 128;

llvm::FailureOr<RoundedRows> StepLowering::int8Input(llm::LinearOp op, llvm::StringRef scheme) {
  auto parsed = llm::parseScheme(scheme);
  if (!parsed) return op.emitOpError("has int8 activations, which need a quantized weight, not ") << scheme;
  RoundedRows rows;
  rows.chunks = ceilDiv(llm::getColumns(op.getInput()), 2 * parsed->group);
  rows.runs = ceilDiv(rows.chunks * 2 * parsed->group, kRunColumns);
  return roundedInput(op, "int8", scheme, rows);
}

// Weights of all schemes read the same rows: padded to whole chunks of 32 columns of an unquantized weight, a quantized
// one's chunk has more.
llvm::FailureOr<RoundedRows> StepLowering::bf16Input(llm::LinearOp op) {
  llm::WeightOp matrix = llm::lookupWeight(op, op.getWeightAttr());
  auto parsed = llm::parseScheme(matrix.getScheme());
  int64_t columns = llm::getColumns(op.getInput());
  RoundedRows rows;
  rows.chunks = parsed ? roundUp(columns, 2 * parsed->group) / 32 : ceilDiv(columns, 32);
  rows.runs = ceilDiv(rows.chunks * 32, kRunColumns);
  return roundedInput(op, "bf16", "", rows);
}

// `rows`: sizes; its buffers are made here, or found if another linear rounds the same.
llvm::FailureOr<RoundedRows> StepLowering::roundedInput(llm::LinearOp op, llvm::StringRef out, llvm::StringRef scheme,
                                                        RoundedRows rows) {
  NormAttrs norm = normOf(op);
  int64_t columns = llm::getColumns(op.getInput());
  if (norm.kind && (failed(vectorOf(op, norm.weight, columns)) || (norm.bias && failed(vectorOf(op, norm.bias, columns)))))
    return failure();
  NormKey key = normKey(op.getInput(), norm, (out + scheme + "/" + llvm::Twine(rows.chunks)).str());
  if (auto found = rounded.find(key); found != rounded.end()) return found->second;

  View input = views.lookup(op.getInput());
  exec::Symbol symbolOfRows = rowClass(input);
  if (auto parsed = llm::parseScheme(scheme)) {
    int64_t padded = rows.chunks * 2 * parsed->group;
    rows.buffers = {newBuffer("q", "i8", symbolOfRows, padded),
                    newBuffer("corr", "i32", symbolOfRows, padded / parsed->group * 4),
                    newBuffer("scale", "f32", symbolOfRows, rows.runs * 4)};
  } else {
    // A tier without the bf16 dot keeps the rounded values as f32.
    rows.buffers = {newBuffer("rounded", "f32", symbolOfRows, rows.chunks * 32 * 4)};
  }
  Operands operands;
  Scalars scalars;
  normHead(input, norm, operands, scalars);
  for (unsigned buffer : rows.buffers) operands.push_back(operand(buffer));
  scalars.append({number(rows.chunks), symbol(input.gathered ? exec::Symbol::Tokens : symbolOfRows), number(rows.runs)});
  dispatch(normKernel(norm, input.gathered.has_value(), out, scheme), operands, scalars);
  rounded[key] = rows;
  return rows;
}

// ---- the linear ------------------------------------------------------------------------------------------------------

static std::string linearName(llvm::StringRef stem, llvm::StringRef scheme, llvm::StringRef element,
                              llvm::StringRef activations, bool gated) {
  std::string name = (stem + "_" + (scheme == "none" ? element : scheme)).str();
  if (scheme != "none" || activations != "float") name += ("_" + activations).str();
  return gated ? name + "_gated" : name;
}

// Each run of row blocks writes its own columns of the output, with the bits that the whole would have.
void StepLowering::dispatchLinear(llm::LinearOp op, mlir::FlatSymbolRefAttr kernel, Operands operands, Scalars scalars) {
  constexpr int64_t kBlockColumns = 16 * 4; // bytes of a block's outputs, and of a vector's values for it
  constexpr size_t kOutputs = 2, kBlocks = 3;
  llm::WeightOp matrix = llm::lookupWeight(op, op.getWeightAttr());
  int64_t N = llm::getColumns(op.getResult()), parts = op.getGated() ? 2 : 1, blocks = ceilDiv(N, 16);
  size_t vectors = op.getVectors().size(), rows = op.getRows().size(), weight = operands.size() - 2 - vectors - rows;
  int64_t together = std::min(unitsTogether(matrix, parts), blocks);
  for (int64_t first = 0; first < blocks; first += together) {
    int64_t count = std::min(together, blocks - first);
    Operands run = operands;
    run[weight] = moved(run[weight], first * parts * blockBytes(matrix));
    for (size_t i = 0; i < rows; ++i) run[weight + 1 + i] = moved(run[weight + 1 + i], first * kBlockColumns);
    for (size_t i = weight + 1 + rows; i < operands.size() - 1; ++i) run[i] = moved(run[i], first * parts * kBlockColumns);
    run.back() = moved(run.back(), first * kBlockColumns);
    scalars[kOutputs] = number(std::min(N - first * 16, count * 16));
    scalars[kBlocks] = number(count);
    dispatch(kernel, run, scalars, op.getWeight());
  }
}

llvm::LogicalResult StepLowering::lowerLinear(llm::LinearOp op) {
  if (op.getAdapter()) return op.emitOpError("has an adapter; adapters are not built yet");
  llvm::StringRef activations = op.getActivations();
  llm::WeightOp matrix = llm::lookupWeight(op, op.getWeightAttr());
  auto type = llvm::cast<mlir::RankedTensorType>(matrix.getType());
  llvm::StringRef scheme = matrix.getScheme(), element = elementName(type.getElementType());
  auto parsed = llm::parseScheme(scheme);
  if (parsed) element = "f32"; // of no meaning then, and equal kernels are to be equal
  int64_t K = type.getDimSize(1), N = llm::getColumns(op.getResult());
  bool int8 = activations == "int8", tiled = int8 || activations == "bf16";

  View input = views.lookup(op.getInput());
  exec::Symbol rows = rowClass(input);
  Operands operands;
  llvm::SmallVector<View> reads, rowOperands;
  if (tiled) {
    auto tiles = int8 ? int8Input(op, scheme) : bf16Input(op);
    if (failed(tiles)) return failure();
    for (unsigned buffer : tiles->buffers) operands.push_back(operand(buffer));
  } else {
    auto view = op.getNorm() ? normedInput(op) : rowsOf(op.getInput(), op);
    if (failed(view)) return failure();
    input = *view;
    operands.push_back(operand(input));
    reads.push_back(input);
  }
  operands.push_back(weight(op.getWeightAttr()));
  for (mlir::Value value : op.getRows()) {
    auto view = rowsOf(value, op);
    if (failed(view)) return failure();
    if (rowClass(*view) != rows) return op.emitOpError("adds rows of the whole step to wanted rows, or the reverse");
    rowOperands.push_back(*view);
    operands.push_back(operand(*view));
  }
  for (mlir::Attribute vector : op.getVectors()) {
    auto name = llvm::cast<mlir::FlatSymbolRefAttr>(vector);
    if (failed(vectorOf(op, name, op.getGated() ? 2 * N : N))) return failure();
    operands.push_back(weight(name));
  }
  int64_t chunks = parsed ? ceilDiv(K, 2 * parsed->group) : tiled ? ceilDiv(K, 32) : K;
  Scalars scalars{symbol(rows), number(K), number(N), number(ceilDiv(N, 16)), number(chunks),
                  number(tiled ? 0 : input.ld), number(0)}; // the last is the output's
  for (const View &view : rowOperands) scalars.push_back(number(view.ld));
  if (int8) scalars.push_back(number(ceilDiv(chunks * 2 * parsed->group, kRunColumns)));
  ConfigEntries entries{{"scheme", builder.getStringAttr(scheme)},
                        {"element", builder.getStringAttr(element)},
                        {"activations", builder.getStringAttr(activations)},
                        {"vectors", builder.getI64IntegerAttr(int64_t(op.getVectors().size()))}};
  if (auto heads = rows == exec::Symbol::Tokens ? headsOf(op) : std::nullopt)
    return dispatchHeads(op, *heads, linearName("linear_heads", scheme, element, activations, false), entries, operands,
                         scalars);

  View out = resultRows("linear", op.getResult(), rows, rowOperands, reads);
  operands.push_back(operand(out));
  scalars[6] = number(out.ld);
  entries.append({{"gated", builder.getBoolAttr(op.getGated())},
                  {"rows", builder.getI64IntegerAttr(int64_t(rowOperands.size()))}});
  auto kernel = kernels.get(linearName("linear", scheme, element, activations, op.getGated()), "linear", config(entries),
                            &op.getEpilogue());
  dispatchLinear(op, kernel, operands, scalars);
  setView(op.getResult(), out);
  return success();
}

} // namespace llmc
