// Made-up weights: docs/random-weights.md.
#include "compiler/import/Elements.h"
#include "compiler/import/NormalGenerator.h"
#include "compiler/import/TensorReader.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/SHA256.h"

#include <algorithm>

namespace llmc {
namespace {

struct MadeUpTensor : TensorInfo {
  uint64_t key = 0;
  bool ones = false;
};

// The stream of a tensor: SHA-256 over the seed's eight bytes and the name, the first eight bytes of it.
uint64_t streamKey(uint64_t seed, llvm::StringRef name) {
  std::vector<uint8_t> text(sizeof(seed));
  llvm::support::endian::write64le(text.data(), seed);
  text.insert(text.end(), name.begin(), name.end());
  return llvm::support::endian::read64le(llvm::SHA256::hash(text).data());
}

class RandomTensors final : public TensorReader {
public:
  RandomTensors(llvm::ArrayRef<models::TensorSpec> specs, uint64_t seed, float deviation, ElementType element)
      : deviation_(deviation) {
    for (const models::TensorSpec &spec : specs) {
      bool ones = spec.role == models::TensorRole::NormWeight;
      tensors_[spec.name] = {{spec.name, element, spec.shape}, streamKey(seed, spec.name), ones};
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
    fillNormal(made.key, uint64_t(begin), deviation_, out);
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
