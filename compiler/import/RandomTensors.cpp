// Made-up weights: docs/random-weights.md.
#include "compiler/import/Elements.h"
#include "runtime/packing/normal.h"
#include "compiler/import/TensorReader.h"

#include <algorithm>

namespace llmc {
namespace {

struct MadeUpTensor : TensorInfo {
  uint64_t key = 0;
  bool ones = false;
};

class RandomTensors final : public TensorReader {
public:
  RandomTensors(llvm::ArrayRef<models::TensorSpec> specs, uint64_t seed, float deviation, ElementType element)
      : deviation_(deviation) {
    for (const models::TensorSpec &spec : specs) {
      bool ones = spec.role == models::TensorRole::NormWeight;
      tensors_[spec.name] = {{spec.name, element, spec.shape}, llmrt::packing::stream_key(seed, spec.name), ones};
    }
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> result;
    for (const auto &entry : tensors_) result.push_back(entry.getKey().str());
    std::sort(result.begin(), result.end());
    return result;
  }

protected:
  const TensorInfo *lookUp(llvm::StringRef name) const override {
    auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->getValue();
  }

  bool hasPrefix(llvm::StringRef) const override { return true; }

  void readSpan(const TensorInfo &tensor, int64_t begin, llvm::MutableArrayRef<float> out) const override {
    const auto &made = static_cast<const MadeUpTensor &>(tensor);
    if (made.ones) {
      std::fill(out.begin(), out.end(), 1.0f);
      return;
    }
    llmrt::packing::fill_normal(made.key, uint64_t(begin), deviation_, out);
    roundElements(made.element, out);
  }

private:
  llvm::StringMap<MadeUpTensor> tensors_;
  float deviation_;
};

} // namespace

std::unique_ptr<TensorSource> makeRandomTensors(llvm::ArrayRef<models::TensorSpec> specs, uint64_t seed,
                                                double initializerRange, ElementType element) {
  return std::make_unique<RandomTensors>(specs, seed, float(initializerRange), element);
}

} // namespace llmc
