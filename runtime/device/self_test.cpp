#include "runtime/device/self_test.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace llmrt {

namespace {

struct Vector {
  const schema::Artifact &meta;
  const schema::Golden &golden;

  std::span<const std::byte> bytes(const schema::GoldenBytes &at) const {
    if (at.bytes() == 0)
      return {};
    return {reinterpret_cast<const std::byte *>(meta.golden_bytes()->data()) + at.offset(), size_t(at.bytes())};
  }
  std::span<const int64_t> scalars() const { return {golden.scalars()->data(), golden.scalars()->size()}; }
};

// The variant is for the vector's rows, and would touch just its operands.
bool suits(const Vector &vector, const CodeTable &code, const llmrt_kernel_entry &entry) {
  std::span<const int64_t> scalars = vector.scalars();
  if (scalars.size() != entry.scalar_count || count_of(vector.golden.operands()) != entry.operand_count ||
      scalars[0] < entry.first_rows || scalars[0] > entry.last_rows)
    return false;
  for (uint32_t i = 0; i < entry.operand_count; ++i)
    if (code.evaluate(code.operands(entry)[i].extent, scalars) != int64_t(vector.golden.operands()->Get(i)->bytes()))
      return false;
  return true;
}

float f32_at(std::span<const std::byte> bytes, size_t index) {
  float value;
  std::memcpy(&value, bytes.data() + 4 * index, 4);
  return value;
}

// Where the two differ, for people; empty if they agree.
std::string difference(std::span<const std::byte> actual, std::span<const std::byte> expected, float bound) {
  if (bound == 0) {
    auto differ = std::mismatch(actual.begin(), actual.end(), expected.begin());
    return differ.first == actual.end()
               ? ""
               : "byte " + std::to_string(differ.first - actual.begin()) + " is " +
                     std::to_string(int(*differ.first)) + " and should be " + std::to_string(int(*differ.second));
  }
  float largest = 0;
  for (size_t i = 0; i < expected.size() / 4; ++i)
    largest = std::max(largest, std::fabs(f32_at(expected, i)));
  for (size_t i = 0; i < expected.size() / 4; ++i)
    if (!(std::fabs(f32_at(actual, i) - f32_at(expected, i)) <= bound * largest))
      return "value " + std::to_string(i) + " is " + format_number(f32_at(actual, i)) + " and should be " +
             format_number(f32_at(expected, i));
  return "";
}

Status try_variant(const Vector &vector, const CodeTable &code, const llmrt_kernel_entry &entry, const RunAlone &run) {
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::span<std::byte>> operands;
  for (uint32_t i = 0; i < count_of(vector.golden.operands()); ++i) {
    std::span<const std::byte> bytes = vector.bytes(*vector.golden.operands()->Get(i));
    memory.emplace_back(bytes.begin(), bytes.end());
  }
  operands.assign(memory.begin(), memory.end());
  if (Status status = run({&code, &entry, vector.scalars(), operands}); !status.ok())
    return status;
  for (uint32_t i = 0; i < count_of(vector.golden.results()); ++i) {
    const schema::GoldenResult &result = *vector.golden.results()->Get(i);
    std::span<const std::byte> expected = vector.bytes(result.expected());
    std::string text =
        difference(operands[result.operand()].subspan(result.at(), expected.size()), expected, result.bound());
    if (!text.empty())
      return Status(StatusCode::kInternal, text + ", of operand " + std::to_string(result.operand()));
  }
  return ok_status();
}

std::string rows_text(const llmrt_kernel_entry &entry) {
  std::string first = std::to_string(std::max<int64_t>(entry.first_rows, 1));
  if (entry.last_rows == INT64_MAX)
    return first + " or more rows";
  if (entry.last_rows <= 1 || entry.first_rows == entry.last_rows)
    return first + " rows";
  return first + " to " + std::to_string(entry.last_rows) + " rows";
}

// A kernel that could not be run at all has not failed: that is an error of its own.
Status verdict(const std::string &name, const llmrt_kernel_entry &entry, const Status &status) {
  if (status.code() != StatusCode::kInternal && status.code() != StatusCode::kInvalidArgument)
    return Status(status.code(), name + ": " + status.message());
  return Status(StatusCode::kInternal,
                "kernel " + name + " for " + rows_text(entry) + " failed its self-test: " + status.message());
}

} // namespace

Status self_test(const Artifact &artifact, const CodeTable &code, const RunAlone &run) {
  const schema::Artifact &meta = artifact.meta();
  std::vector<bool> tried(code.entries().size());
  for (uint32_t i = 0; i < count_of(meta.goldens()); ++i) {
    const schema::Golden &golden = *meta.goldens()->Get(i);
    const schema::Kernel &kernel = *meta.kernels()->Get(golden.kernel());
    Vector vector{meta, golden};
    for (const llmrt_kernel_entry &entry : code.find({kernel.id()->data(), kernel.id()->size()})) {
      auto seen = tried.begin() + (&entry - code.entries().data());
      if (*seen || !suits(vector, code, entry))
        continue;
      *seen = true;
      if (Status status = try_variant(vector, code, entry, run); !status.ok())
        return verdict(std::string(text_of(kernel.name())), entry, status);
    }
  }
  return ok_status();
}

} // namespace llmrt
