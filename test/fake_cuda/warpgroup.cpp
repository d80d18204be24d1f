#include "warpgroup.h"

#include "half.h"
#include "thread.h"

#include <utility>

namespace ptx {

namespace {

// Operands of wgmma.mma_async.m64n64k16 with A in registers: d, a, the descriptor of B, whether d is added to, the signs of A
// and B, whether B is transposed.
constexpr size_t kNumbers = 32, kA = kNumbers, kDescriptor = kA + 4, kAdds = kDescriptor + 1, kSigns = kAdds + 1,
                 kTransposed = kSigns + 2, kOperands = kTransposed + 1;

void fail(Thread &first, const char *what) { first.fault = what; }

// A matrix in shared memory as its descriptor says, with numbers of a column (those along K) side by side: where eight
// numbers from K = 8 `eight` on of column `column` begin. Runs of 16 bytes lie 16 bytes, or 32, 64 or 128 of a swizzle,
// apart from column to column; of a swizzle they change places within that, by bits of the address.
struct Matrix {
  uint64_t start, leading, stride, pitch;

  static bool decode(uint64_t descriptor, Matrix &to, Thread &first) {
    constexpr uint64_t kField = 0x3fff, kPitches[] = {16, 128, 64, 32};
    constexpr uint64_t kKnown = kField | kField << 16 | kField << 32 | uint64_t(7) << 49 | uint64_t(3) << 62;
    to = {(descriptor & kField) << 4, (descriptor >> 16 & kField) << 4, (descriptor >> 32 & kField) << 4,
          kPitches[descriptor >> 62]};
    if (descriptor & ~kKnown) fail(first, "a descriptor with bits that mean nothing");
    else if (descriptor >> 49 & 7) fail(first, "a descriptor with a base offset, which the interpreter lacks");
    return !first.fault;
  }
  uint64_t place(uint64_t column, uint64_t eight) const {
    uint64_t at = start + column / 8 * stride + column % 8 * pitch + eight * (pitch == 16 ? leading : 16);
    return at ^ (at >> 3 & (pitch - 1) & ~uint64_t(15));
  }
};

// The bits of B[k][column]; false, and a fault, where no shared memory is, or some that was not made seen.
bool load(const Matrix &matrix, Thread &first, uint16_t (&b)[16][64]) {
  for (uint64_t column = 0; column < 64; ++column)
    for (uint64_t k = 0; k < 16; ++k) {
      uint64_t at = matrix.place(column, k / 8) + k % 8 * 2;
      if (at + 2 > first.shared->size()) fail(first, "a matrix that is not in shared memory");
      else if (first.unseen && (*first.unseen)[at / 4]) fail(first, "a matrix that was not made seen by a fence and a barrier");
      if (first.fault) return false;
      b[k][column] = uint16_t((*first.shared)[at] | (*first.shared)[at + 1] << 8);
    }
  return true;
}

// Products are added up in double and rounded once, as those of a warp are.
template <auto ToFloat> void multiply(const Product &product, Thread &first) {
  const Instruction &i = *product.instruction;
  Matrix matrix;
  uint16_t bits[16][64];
  if (!Matrix::decode(product.descriptor, matrix, first) || !load(matrix, first, bits)) return;
  double b[16][64];
  for (uint32_t k = 0; k < 16; ++k)
    for (uint32_t column = 0; column < 64; ++column) b[k][column] = double(ToFloat(bits[k][column]));
  Thread *threads = &first;
  for (uint32_t warp = 0; warp < kWarpgroupThreads; warp += 32) {
    double a[16][16];
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t word = 0; word < 4; ++word)
        for (uint32_t half = 0; half < 2; ++half)
          a[lane / 4 + word % 2 * 8][lane % 4 * 2 + word / 2 * 8 + half] =
              double(ToFloat(threads[warp + lane].word(i.more[kA + word]) >> (16 * half) & 0xffff));
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t n = 0; n < kNumbers; ++n) {
        Thread &thread = threads[warp + lane];
        uint32_t row = lane / 4 + n / 2 % 2 * 8, column = n / 4 * 8 + lane % 4 * 2 + n % 2;
        double sum = product.adds ? double(thread.number(i.more[n])) : 0;
        for (uint32_t k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
        thread.set_number(i.more[n], float(sum));
      }
  }
}

// What is asked for takes place no sooner than it is waited for: registers that are touched before have not been written.
template <auto Multiply> void begin(const Instruction &i, Thread &first) {
  bool plain = i.more.size() == kOperands && i.more[kSigns].value == 1 && i.more[kSigns + 1].value == 1;
  if (!plain || i.more[kTransposed].value != 0)
    return fail(first, "a product of a warpgroup of a form that the interpreter lacks");
  if (!first.ordered) return fail(first, "a product of a warpgroup without wgmma.fence");
  Product product{&i, Multiply, first.value(i.more[kDescriptor]), (first.value(i.more[kAdds]) & 1) != 0};
  for (uint32_t n = 1; n < kWarpgroupThreads; ++n) {
    const Thread &other = (&first)[n];
    if (other.value(i.more[kDescriptor]) != product.descriptor || ((other.value(i.more[kAdds]) & 1) != 0) != product.adds)
      return fail(first, "threads of a warpgroup that want different products");
  }
  first.products.push_back(product);
}

void fence(const Instruction &, Thread &first) { first.ordered = true; }
void commit(const Instruction &, Thread &first) { first.product_groups.push_back(std::exchange(first.products, {})); }
void wait(const Instruction &i, Thread &first) {
  for (; first.product_groups.size() > i.more[0].value && !first.fault; first.product_groups.pop_front())
    for (const Product &product : first.product_groups.front()) product.multiply(product, first);
  first.ordered = false; // what comes next may touch the registers
}

} // namespace

Action warpgroup_action(const std::string &name) {
  if (name == "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16") return begin<multiply<from_bf16>>;
  if (name == "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16") return begin<multiply<from_f16>>;
  if (name == "wgmma.fence.sync.aligned") return fence;
  if (name == "wgmma.commit_group.sync.aligned") return commit;
  return name == "wgmma.wait_group.sync.aligned" ? wait : nullptr;
}

} // namespace ptx
