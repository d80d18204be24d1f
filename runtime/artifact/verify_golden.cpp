// Golden vectors: what they name exists and lies inside. Whether a vector suits a variant of a kernel is looked at where
// it is tried (runtime/device/self_test.h): one that does not is not run.
#include "runtime/artifact/verify_internal.h"

namespace llmrt::verify_internal {

namespace {

// llmc's vectors of a whole model are less than a tenth of this: what is tried at load must be quick to try.
constexpr uint32_t kMaxGoldens = 4096, kMaxResults = 64;
constexpr uint64_t kMaxVectorBytes = uint64_t(4) << 20;

bool lies_in(const schema::GoldenBytes &bytes, uint64_t size) {
  return bytes.offset() <= size && bytes.bytes() <= size - bytes.offset();
}

Status check_result(const schema::Golden &golden, uint32_t index, uint64_t size, const std::string &of) {
  const schema::GoldenResult &result = *golden.results()->Get(index);
  const std::string where = of + ": result " + std::to_string(index);
  if (result.operand() >= count_of(golden.operands()))
    return corrupt(where, "names an operand that does not exist");
  uint64_t operand = golden.operands()->Get(result.operand())->bytes();
  const schema::GoldenBytes &expected = result.expected();
  if (!lies_in(expected, size) || result.at() > operand || expected.bytes() > operand - result.at())
    return corrupt(where, "does not lie in its operand or in the golden bytes");
  if (!(result.bound() >= 0 && result.bound() <= 1))
    return corrupt(where, "has a bound that is none");
  if (result.bound() > 0 && (result.at() % 4 != 0 || expected.bytes() % 4 != 0))
    return corrupt(where, "does not hold whole f32 values");
  return ok_status();
}

Status check_golden(const Context &context, const schema::Golden &golden, const std::string &where) {
  uint64_t size = count_of(context.meta.golden_bytes());
  if (golden.kernel() >= count_of(context.meta.kernels()))
    return corrupt(where, "names a kernel that does not exist");
  if (!is_aligned(golden.scalars()) || !is_aligned(golden.operands()) || !is_aligned(golden.results()))
    return corrupt(where, "is not aligned in the metadata");
  if (count_of(golden.scalars()) == 0 || count_of(golden.scalars()) > kMaxKernelScalars ||
      count_of(golden.operands()) > kMaxKernelOperands)
    return corrupt(where, "has more scalars or operands than kernels have, or none");
  uint64_t bytes = 0; // of at most 64 operands, each of which lies in the metadata
  for (uint32_t i = 0; i < count_of(golden.operands()); ++i) {
    if (!lies_in(*golden.operands()->Get(i), size))
      return corrupt(where + ": operand " + std::to_string(i), "does not lie in the golden bytes");
    bytes += golden.operands()->Get(i)->bytes();
  }
  if (bytes > kMaxVectorBytes || count_of(golden.results()) > kMaxResults)
    return corrupt(where, "is too large to be tried");
  for (uint32_t i = 0; i < count_of(golden.results()); ++i)
    if (Status status = check_result(golden, i, size, where); !status.ok())
      return status;
  return ok_status();
}

} // namespace

Status check_goldens(const Context &context) {
  uint32_t count = count_of(context.meta.goldens());
  if (count > kMaxGoldens)
    return corrupt("there are more golden vectors than kernels could have");
  for (uint32_t i = 0; i < count; ++i)
    if (Status status =
            check_golden(context, *context.meta.goldens()->Get(i), "golden vector " + std::to_string(i));
        !status.ok())
      return status;
  return ok_status();
}

} // namespace llmrt::verify_internal
