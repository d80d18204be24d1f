// The input is what an artifact's metadata differs by from a good one (exclusive or), so that no seeds are needed;
// prefix and segments are put round it with hashes that are right.
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/inspect.h"
#include "runtime/artifact/prefix.h"
#include "runtime/artifact/testing/fake_model.h"

#include <algorithm>
#include <cstring>
#include <vector>

using namespace llmrt;
using namespace llmrt::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 32768)
    return 0;
  static const std::vector<std::byte> good = [] {
    ArtifactSpec model = fake_model();
    add_fake_goldens(model);
    return build_artifact(model);
  }();
  // The segments of the fake model begin at 64 KB, whatever the metadata says.
  std::vector<std::byte> file = good;
  Prefix prefix;
  std::memcpy(&prefix, file.data(), sizeof prefix);
  std::transform(data, data + size, file.begin() + kPrefixBytes, file.begin() + kPrefixBytes,
                 [](uint8_t change, std::byte byte) { return byte ^ std::byte(change); });
  prefix.metadata_bytes = std::max<uint64_t>(prefix.metadata_bytes, size);
  auto head = serialize_prefix(prefix);
  std::copy(head.begin(), head.end(), file.begin());
  if (!fix_hashes(file))
    return 0;
  auto artifact = Artifact::open_bytes(file, "fuzz", {true});
  if (artifact)
    (void)inspect_json(**artifact);
  return 0;
}
