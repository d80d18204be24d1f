#include "runtime/device/vulkan/pipeline_cache.h"

#include "runtime/base/os.h"
#include "runtime/base/text.h"

#include <cstring>
#include <vector>

namespace llmrt::vk {

namespace {

constexpr unsigned kFolderMode = 0700; // XDG Base Directory Specification: nobody else writes what a driver reads
constexpr uint64_t kMaxBytes = uint64_t(256) << 20; // of a file; what would be larger is not written

// In front of the driver's data. Drivers look for their device in the data, but not all of them for damage.
struct Header {
  char magic[8] = {'L', 'L', 'M', 'R', 'T', 'V', 'K', '1'};
  uint32_t vendor = 0, device = 0, driver = 0, unused = 0;
  uint8_t uuid[16] = {};
  Sha256Digest sha256{}; // of the data
};
static_assert(sizeof(Header) == 72);

Header header_of(const PhysicalDeviceProperties &device) {
  Header header;
  header.vendor = device.vendor;
  header.device = device.device;
  header.driver = device.driver_version;
  std::memcpy(header.uuid, device.pipeline_cache_uuid, sizeof header.uuid);
  return header;
}

std::string folder() {
  std::string home = os::environment("XDG_CACHE_HOME");
  if (home.empty() || home[0] != '/') { // a relative path counts as none (XDG Base Directory Specification)
    home = os::environment("HOME");
    if (home.empty())
      return "";
    home += "/.cache";
  }
  return home + "/llmrt";
}

// "vulkan-" and the device's identity.
std::string file_name(const Header &header) {
  auto *identity = reinterpret_cast<const uint8_t *>(&header.vendor);
  return "vulkan-" + to_hex({identity, offsetof(Header, unused) - offsetof(Header, vendor)}) + "-" +
         to_hex({header.uuid, sizeof header.uuid}) + ".bin";
}

std::span<const std::byte> bytes_of(const std::string &text) { return std::as_bytes(std::span(text)); }

} // namespace

PipelineCache::PipelineCache(Context &context) : context_(context) {
  Header expected = header_of(context.properties());
  std::string data;
  if (std::string where = folder(); !where.empty()) {
    path_ = where + "/" + file_name(expected);
    if (llmrt::Result<std::string> file = os::read_file(path_, kMaxBytes); file && file->size() > sizeof(Header))
      data = *std::move(file);
  }
  PipelineCacheCreateInfo info;
  if (!data.empty()) {
    expected.sha256 = sha256(bytes_of(data).subspan(sizeof(Header)));
    if (std::memcmp(data.data(), &expected, sizeof expected) == 0) {
      info.data = data.data() + sizeof(Header);
      info.bytes = data.size() - sizeof(Header);
      stored_ = expected.sha256;
    }
  }
  if (context.api().CreatePipelineCache(context.device(), &info, nullptr, &handle_) != kSuccess)
    handle_ = 0;
}

PipelineCache::~PipelineCache() {
  if (handle_)
    context_.api().DestroyPipelineCache(context_.device(), handle_, nullptr);
}

void PipelineCache::store() {
  size_t bytes = 0;
  const Api &api = context_.api();
  if (!handle_ || path_.empty() || api.GetPipelineCacheData(context_.device(), handle_, &bytes, nullptr) != kSuccess)
    return;
  if (bytes == 0 || bytes > kMaxBytes - sizeof(Header))
    return;
  std::vector<std::byte> data(bytes);
  if (api.GetPipelineCacheData(context_.device(), handle_, &bytes, data.data()) != kSuccess)
    return;
  data.resize(bytes);
  Header header = header_of(context_.properties());
  header.sha256 = sha256(data);
  if (header.sha256 == stored_)
    return;
  std::string where = path_.substr(0, path_.rfind('/'));
  (void)os::make_directory(where.substr(0, where.rfind('/')), kFolderMode).ok();
  if (!os::make_directory(where, kFolderMode).ok())
    return;
  llmrt::Result<os::AtomicFile> file = os::AtomicFile::create(path_);
  if (file && file->write(std::as_bytes(std::span(&header, 1))).ok() && file->write(data).ok())
    (void)file->commit().ok();
}

} // namespace llmrt::vk
