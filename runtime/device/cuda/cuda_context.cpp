#include "runtime/device/cuda/cuda_context.h"

#include "runtime/base/text.h"

namespace llmrt::cuda {

int fitness(std::string_view tier, Chip chip) {
  constexpr std::string_view kMachine = "sm_", kPtx = "compute_";
  bool ptx = tier.starts_with(kPtx);
  if (!ptx && !tier.starts_with(kMachine))
    return 0;
  tier.remove_prefix(ptx ? kPtx.size() : kMachine.size());
  bool alone = tier.ends_with('a');
  if (alone)
    tier.remove_suffix(1);
  int number = 0;
  if (!parse_integer(tier, number) || number > chip.number() || number <= 0 || (alone && number != chip.number()) ||
      (!ptx && number / 10 != chip.major))
    return 0;
  return (ptx ? 0 : 100000) + 10 * number + alone;
}

llmrt::Result<std::vector<DeviceInfo>> OpenDevice::list(const Api &api) {
  int32_t count = 0;
  if (Status status = api.check(api.DeviceGetCount(&count), "counting devices"); !status.ok())
    return status;
  std::vector<DeviceInfo> found;
  for (int32_t i = 0; i < count; ++i) {
    Device device = 0;
    char name[128] = "";
    DeviceInfo info;
    Code code = api.DeviceGet(&device, i);
    code = code ? code : api.DeviceGetName(name, int32_t(sizeof name) - 1, device);
    code = code ? code : api.DeviceGetAttribute(&info.chip.major, kAttributeMajor, device);
    code = code ? code : api.DeviceGetAttribute(&info.chip.minor, kAttributeMinor, device);
    if (Status status = api.check(code, "asking a device what it is"); !status.ok())
      return status;
    info.name = name;
    found.push_back(std::move(info));
  }
  return found;
}

std::vector<DeviceInfo> OpenDevice::list() {
  llmrt::Result<Api> api = Api::open();
  if (!api)
    return {};
  auto found = list(*api);
  return found ? *std::move(found) : std::vector<DeviceInfo>();
}

Status OpenDevice::start(int index) {
  if (Status status = api_.check(api_.DeviceGet(&device_, index), "finding the device"); !status.ok())
    return status;
  Context context = nullptr;
  if (Status status = api_.check(api_.DevicePrimaryCtxRetain(&context, device_), "opening the device"); !status.ok())
    return status;
  context_ = context;
  if (Status status = enter(); !status.ok())
    return status;
  return api_.check(api_.StreamCreate(&stream_, kStreamNonBlocking), "making a stream");
}

llmrt::Result<std::unique_ptr<OpenDevice>> OpenDevice::open(int index) {
  std::unique_ptr<OpenDevice> device(new OpenDevice());
  llmrt::Result<Api> api = Api::open();
  if (!api)
    return api.status();
  device->api_ = *std::move(api);
  auto found = list(device->api_);
  if (!found)
    return found.status();
  std::string names;
  for (size_t i = 0; i < found->size(); ++i)
    names += (i ? "; " : "") + std::to_string(i) + ": " + (*found)[i].text();
  if (index >= int(found->size()))
    return Status(StatusCode::kUnsupported, "there is no CUDA device " + std::to_string(index) + "; there are " +
                                                (names.empty() ? "none" : names));
  device->info_ = (*found)[size_t(index)];
  if (Status status = device->start(index); !status.ok())
    return status;
  return device;
}

OpenDevice::~OpenDevice() {
  if (!context_ || !enter().ok())
    return;
  if (stream_)
    api_.StreamDestroy(stream_);
  api_.DevicePrimaryCtxRelease(device_);
}

} // namespace llmrt::cuda
