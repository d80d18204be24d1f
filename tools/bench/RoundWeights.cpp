// round_weights SCHEME COLUMNS < values > rounded: what a quantization scheme makes of a matrix, for comparing schemes.
// Both are little-endian f32 rows of COLUMNS values; the result is what kernels compute with.
#include "codegen/schemes/Scheme.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdio>
#include <vector>

using namespace llmc;

static int fail(const llvm::Twine &what, int code) {
  llvm::errs() << "round_weights: " << what << "\n";
  return code;
}

static int roundRows(const Scheme &scheme, int64_t columns) {
  constexpr int64_t rows = 16; // of a block; the last one is filled up with zeros
  std::vector<float> values(rows * columns);
  std::vector<char> block(scheme.chunks(columns) * scheme.chunk_bytes());
  while (size_t count = std::fread(values.data(), sizeof(float), values.size(), stdin)) {
    if (count % columns) return fail("the input ends within a row", 1);
    std::fill(values.begin() + count, values.end(), 0.0f);
    if (PackStatus status = packing::pack_block(scheme, values, columns, block); status != PackStatus::kOk)
      return fail(llvm::Twine("the input ") + packing::pack_status_text(status), 1);
    packing::unpack_block(scheme, block, columns, values);
    if (std::fwrite(values.data(), sizeof(float), count, stdout) != count) return fail("the output cannot be written", 1);
  }
  return std::ferror(stdin) || std::fflush(stdout) ? fail("reading or writing failed", 1) : 0;
}

int main(int count, char **words) {
  int64_t columns = 0;
  if (count != 3 || !llvm::to_integer(llvm::StringRef(words[2]), columns, 10) || columns < 1 || columns > 1 << 24)
    return fail("usage: round_weights SCHEME COLUMNS < values > rounded", 2);
  const Scheme *scheme = findScheme(words[1]);
  return scheme ? roundRows(*scheme, columns) : fail(llvm::Twine(words[1]) + " is not a scheme", 2);
}
