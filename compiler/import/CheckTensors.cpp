#include "compiler/import/Json.h"
#include "compiler/import/TensorReader.h"

namespace llmc {
namespace {

constexpr size_t kMostNamed = 5; // problems that one message lists

// Sizes come from config.json; what follows multiplies them without looking.
bool isPossible(llvm::ArrayRef<int64_t> shape) {
  int64_t bytes = sizeof(float);
  for (int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) return false;
  return true;
}

} // namespace

llvm::Error checkTensors(llvm::ArrayRef<models::TensorSpec> specs, const TensorSource &tensors) {
  std::string problems;
  size_t count = 0;
  for (const models::TensorSpec &spec : specs) {
    if (!isPossible(spec.shape))
      return importError("config.json", "asks for a tensor '" + printable(spec.name) + "' of shape " +
                                            shapeText(spec.shape) + ", which no machine can hold");
    const TensorInfo *tensor = tensors.find(spec.name);
    if (tensor && tensor->shape == spec.shape) continue;
    if (++count > kMostNamed) continue;
    problems += "\n  '" + printable(spec.name) + "' " +
                (tensor ? "has shape " + shapeText(tensor->shape) + ", config.json asks for "
                        : tensors.whyMissing(spec.name) + ", expected ") +
                shapeText(spec.shape);
  }
  if (count == 0) return llvm::Error::success();
  if (count > kMostNamed) problems += "\n  and " + std::to_string(count - kMostNamed) + " more";
  return importError("the weights do not fit config.json", llvm::Twine(count) + " tensor" + (count > 1 ? "s" : "") +
                                                               problems);
}

} // namespace llmc
