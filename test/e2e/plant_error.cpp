// plant_error IN OUT TARGET KERNEL: copies an artifact with an error in the code of the first kernel whose name begins
// so, in every segment of the target, or of the tier of that name: on a CPU it returns at once, on a GPU its first product
// becomes a sum. All hashes are right again.
#include "runtime/artifact/code_table.h"
#include "runtime/artifact/testing/artifact_builder.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

using Bytes = std::span<std::byte>;

bool plant_return(Bytes code, bool arm) {
  const uint8_t x86_return[] = {0xc3}, arm_return[] = {0xc0, 0x03, 0x5f, 0xd6};
  std::memcpy(code.data(), arm ? arm_return : x86_return, arm ? 4 : 1);
  return true;
}

bool plant_in_spirv(Bytes code) {
  constexpr uint16_t kMultiply = 133, kAdd = 129; // OpFMul, OpFAdd
  for (size_t at = 20; at + 4 <= code.size();) {
    uint16_t word[2]; // the opcode, then how many words the instruction has
    std::memcpy(word, code.data() + at, 4);
    if (word[0] == kMultiply) {
      std::memcpy(code.data() + at, &kAdd, 2);
      return true;
    }
    if (word[1] == 0)
      return false;
    at += 4 * size_t(word[1]);
  }
  return false;
}

bool plant_in_ptx(Bytes code) {
  std::string_view text(reinterpret_cast<const char *>(code.data()), code.size());
  size_t at = text.find("mul.rn.f32");
  if (at == text.npos)
    return false;
  std::memcpy(code.data() + at, "add", 3);
  return true;
}

bool plant(uint32_t architecture, Bytes code) {
  switch (architecture) {
  case LLMRT_ARCH_X86_64:
  case LLMRT_ARCH_ARM64: return plant_return(code, architecture == LLMRT_ARCH_ARM64);
  case LLMRT_ARCH_SPIRV: return plant_in_spirv(code);
  case LLMRT_ARCH_PTX: return plant_in_ptx(code);
  default: return false;
  }
}

// How many variants now have an error.
int plant_all(const llmrt::Artifact &artifact, std::string_view target, std::string_view name,
              std::vector<std::byte> &file) {
  using namespace llmrt;
  int planted = 0;
  const schema::Artifact &meta = artifact.meta();
  auto kernel = std::find_if(meta.kernels()->begin(), meta.kernels()->end(),
                             [&](const schema::Kernel *one) { return text_of(one->name()).starts_with(name); });
  if (kernel == meta.kernels()->end())
    return 0;
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    if (!is_code_of(segment, target) && !(is_known_code(segment) && text_of(segment.layout()) == target))
      continue;
    auto table = CodeTable::parse(artifact.segment(i));
    for (const llmrt_kernel_entry &entry : table->find({(*kernel)->id()->data(), (*kernel)->id()->size()}))
      planted += plant(table->header().architecture,
                       Bytes(file).subspan(artifact.segment_offset(i) + entry.entry, entry.code_bytes));
  }
  return planted;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: plant_error IN OUT TARGET KERNEL\n");
    return 2;
  }
  auto artifact = llmrt::Artifact::open(argv[1]);
  if (!artifact) {
    std::fprintf(stderr, "%s\n", artifact.status().message().c_str());
    return 1;
  }
  std::vector<std::byte> file((*artifact)->bytes().begin(), (*artifact)->bytes().end());
  int planted = plant_all(**artifact, argv[3], argv[4], file);
  if (planted == 0 || !llmrt::testing::fix_hashes(file)) {
    std::fprintf(stderr, "there is no such code in it\n");
    return 1;
  }
  auto out = llmrt::os::AtomicFile::create(argv[2]);
  return out.ok() && out->write(file).ok() && out->commit().ok() ? 0 : 1;
}
