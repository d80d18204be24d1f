// What all sources of tensors share: rows and transposed rows out of runs of consecutive elements.
#pragma once

#include "compiler/import/Checkpoint.h"

#include "llvm/ADT/StringMap.h"

namespace llmc {

// A source that can give runs of elements. Names are looked up as Hugging Face's loader does: where no name of the
// checkpoint starts with the base model's prefix ("model.", "transformer."), as in files saved without the head, the
// prefix is dropped.
class TensorReader : public TensorSource {
public:
  const TensorInfo *find(llvm::StringRef name) const final;
  llvm::Error readRows(const TensorInfo &tensor, int64_t first, int64_t count, bool transpose,
                       llvm::MutableArrayRef<float> out) const final;

protected:
  // The source's own record of a tensor, by the name it is stored under.
  virtual const TensorInfo *lookUp(llvm::StringRef name) const = 0;
  virtual bool hasPrefix(llvm::StringRef prefix) const = 0;
  // Elements [begin, begin + out.size()) in row-major order; the range is inside the tensor, which lookUp() gave.
  virtual void readSpan(const TensorInfo &tensor, int64_t begin, llvm::MutableArrayRef<float> out) const = 0;

  // The name under which a tensor would be stored here.
  llvm::StringRef storedName(llvm::StringRef name) const;

private:
  // A tensor as a matrix: its first dimension are the rows, all others the columns.
  struct Matrix {
    int64_t rows = 1, columns = 1;
  };
  // Without rows where the sizes are not those of anything that exists (one may be 0 beside huge ones).
  static Matrix matrixOf(const TensorInfo &tensor);
  void readTransposed(const TensorInfo &tensor, const Matrix &stored, int64_t first, int64_t count,
                      llvm::MutableArrayRef<float> out) const;
};

// "[64, 172]"
std::string shapeText(llvm::ArrayRef<int64_t> shape);

} // namespace llmc
