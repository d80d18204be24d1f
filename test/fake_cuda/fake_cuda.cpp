// A libcuda.so.1 for tests on machines without a GPU: the driver functions that llmrt uses, over the host's memory. It
// interprets the PTX that llmc writes (ptx.h) and knows the two kernels of runtime/artifact/testing/fake_model.h by name;
// it takes no real cubins. Copies, clears and what kernels touch are checked to stay inside live memory; kernels may not read
// the words between operands either (GuardedOperands). What it plays is chosen by the environment:
//   FAKE_CUDA_DEVICES  how many devices (1)      FAKE_CUDA_CHIP    their compute capability (90)
//   FAKE_CUDA_DRIVER   the driver's CUDA (13000) FAKE_CUDA_MEMORY  bytes of a device (2^30)
//   FAKE_CUDA_FAIL     NAME=CODE: that function gives that error; NAME=CODE@N from its Nth call on
//   FAKE_CUDA_WRONG    "ptx" or "cubin": what modules of that kind compute of the kernel `score` is wrong
//   FAKE_CUDA_LOG      a file that gets a line for each graph and each launch that runs
#include "ptx.h"
#include "runtime/device/lone_kernel.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

using Code = int;
using Work = std::function<Code()>;

enum : Code { kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kInvalidDevice = 101, kNoContext = 201,
              kNoBinary = 209, kInvalidPtx = 218, kNotFound = 500, kIllegalAddress = 700 };

struct Graph {
  std::vector<Work> work;
};

struct Fake {
  std::map<uint64_t, size_t> memory; // of the device: address, bytes
  std::map<uint64_t, std::vector<bool>> guards; // of memory that has some: its words that are one
  std::map<std::string, int> calls;
  size_t used = 0;
  bool entered = false;
  Graph *recording = nullptr;
};
Fake fake;

int64_t setting(const char *name, int64_t otherwise) {
  const char *text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

void note(const std::string &line) {
  const char *path = std::getenv("FAKE_CUDA_LOG");
  if (!path)
    return;
  if (FILE *file = std::fopen(path, "a")) {
    std::fprintf(file, "%s\n", line.c_str());
    std::fclose(file);
  }
}

// The error that the environment wants of this call; 0: none.
Code wanted_failure(const char *function) {
  int call = ++fake.calls[function];
  const char *text = std::getenv("FAKE_CUDA_FAIL");
  std::string name = std::string(function) + "=";
  if (!text || std::strncmp(text, name.c_str(), name.size()) != 0)
    return kSuccess;
  const char *at = std::strchr(text, '@');
  return at && call < std::atoi(at + 1) ? kSuccess : std::atoi(text + name.size());
}

bool lies_in(uint64_t address, size_t bytes, uint64_t start, size_t size) {
  return address >= start && address - start <= size && bytes <= size - (address - start);
}

bool lives(uint64_t address, size_t bytes) {
  static std::pair<uint64_t, size_t> last; // where the access before went
  if (lies_in(address, bytes, last.first, last.second) && fake.memory.count(last.first))
    return true;
  auto after = fake.memory.upper_bound(address);
  if (after == fake.memory.begin())
    return false;
  last = *std::prev(after);
  return lies_in(address, bytes, last.first, last.second);
}

// The address of the memory that it lies in; there is one.
uint64_t memory_of(uint64_t address) { return std::prev(fake.memory.upper_bound(address))->first; }

bool may_read(uint64_t address, size_t bytes) {
  if (!lives(address, bytes))
    return false;
  if (fake.guards.empty())
    return true;
  uint64_t start = memory_of(address);
  auto found = fake.guards.find(start);
  for (uint64_t word = (address - start) / 4; found != fake.guards.end() && word < (address - start + bytes + 3) / 4; ++word)
    if (found->second[word])
      return false;
  return true;
}

void note_guards(uint64_t to, const void *from, size_t bytes) {
  uint64_t start = memory_of(to);
  for (uint64_t at = (to - start + 3) / 4 * 4 - (to - start); at + 4 <= bytes; at += 4) {
    uint32_t word;
    std::memcpy(&word, static_cast<const char *>(from) + at, 4);
    bool is_guard = word == llmrt::GuardedOperands::kGuardWord;
    if (!is_guard && !fake.guards.count(start))
      continue;
    std::vector<bool> &guards = fake.guards[start];
    guards.resize(fake.memory[start] / 4 + 1);
    guards[(to - start + at) / 4] = is_guard;
  }
}

// Now, or when the graph that is being recorded is launched.
Code submit(Work work) {
  if (!fake.entered)
    return kNoContext;
  if (!fake.recording)
    return work();
  fake.recording->work.push_back(std::move(work));
  return kSuccess;
}

// ---- kernels: runtime/artifact/testing/fake_model.cpp has what they mean -------------------------------------------

struct Operands {
  std::vector<uint64_t> at;
  template <typename T> T *pointer(size_t i) const { return reinterpret_cast<T *>(at[i]); }
};

using Item = bool (*)(const int32_t *scalars, const Operands &operands, int64_t item);

bool store(const int32_t *scalars, const Operands &o, int64_t i) {
  int64_t blocks = scalars[2], p = o.pointer<int32_t>(1)[i];
  int64_t page = o.pointer<int32_t>(3)[o.pointer<int32_t>(2)[i] * blocks + p / 16];
  int32_t *to = o.pointer<int32_t>(4) + page * 16 + p % 16;
  if (!lives(uint64_t(to), sizeof *to))
    return false;
  *to = o.pointer<int32_t>(0)[i];
  return true;
}

bool score(const int32_t *scalars, const Operands &o, int64_t i) {
  int64_t vocabulary = scalars[1], blocks = scalars[3], sum = 0;
  int32_t token = o.pointer<int32_t>(0)[i];
  const int32_t *pages = o.pointer<int32_t>(3) + o.pointer<int32_t>(2)[token] * blocks;
  for (int64_t p = 0; p <= o.pointer<int32_t>(1)[token]; ++p) {
    const int32_t *from = o.pointer<int32_t>(4) + int64_t(pages[p / 16]) * 16 + p % 16;
    if (!lives(uint64_t(from), sizeof *from))
      return false;
    sum += *from;
  }
  for (int64_t j = 0; j < vocabulary; ++j)
    o.pointer<float>(6)[i * vocabulary + j] = float((sum + 7 * j) % vocabulary) + o.pointer<float>(5)[j];
  return true;
}

struct Kernel {
  const char *name;
  Item item;
  size_t scalars, operands;
};
constexpr Kernel kKernels[] = {{"store", store, 4, 5}, {"score", score, 6, 7}};

// Binding 0 as runtime/abi/kernel.h has it: scalars, starts in words, items. A workgroup does one item.
Code run(const Kernel &kernel, const std::vector<uint64_t> &arguments, unsigned groups, unsigned threads) {
  size_t words = kernel.scalars + kernel.operands + 1;
  if (!lives(arguments[0], 4 * words))
    return kIllegalAddress;
  const int32_t *row = reinterpret_cast<const int32_t *>(arguments[0]);
  Operands operands;
  for (size_t i = 0; i < kernel.operands; ++i) {
    operands.at.push_back(arguments[i + 1] + 4 * uint64_t(row[kernel.scalars + i]));
    if (!lives(operands.at.back(), 4))
      return kIllegalAddress;
  }
  int64_t items = row[words - 1];
  note(std::string("launch ") + kernel.name + " groups " + std::to_string(groups) + " threads " +
       std::to_string(threads) + " items " + std::to_string(items));
  for (int64_t item = 0; item < items && item < int64_t(groups); ++item)
    if (!kernel.item(row, operands, item))
      return kIllegalAddress;
  return kSuccess;
}

const Kernel *kernel_of(const void *image) {
  const char *text = static_cast<const char *>(image);
  if (std::memcmp(text, "\177ELF", 4) == 0)
    text += 64; // behind the header
  for (const Kernel &kernel : kKernels)
    if (std::strcmp(text, kernel.name) == 0)
      return &kernel;
  return nullptr;
}

// A module is one kernel: known by name, or PTX.
struct Module {
  const Kernel *kernel = nullptr;
  std::unique_ptr<ptx::Program> program;
  bool wrong = false;

  size_t arguments() const { return kernel ? kernel->operands + 1 : program->parameter_count(); }
  Code run(const std::vector<uint64_t> &values, unsigned groups, unsigned threads) const {
    if (kernel) {
      Code code = ::run(*kernel, values, groups, threads);
      if (code == kSuccess && wrong)
        *reinterpret_cast<float *>(values[7] + 4 * uint64_t(reinterpret_cast<const int32_t *>(values[0])[12])) += 1;
      return code;
    }
    std::string problem;
    if (program->run(values, groups, threads, {lives, may_read}, problem))
      return kSuccess;
    note("fault: " + problem);
    return kIllegalAddress;
  }
};

} // namespace

extern "C" {

Code cuInit(unsigned) {
  if (Code code = wanted_failure(__func__))
    return code;
  return setting("FAKE_CUDA_DEVICES", 1) > 0 ? kSuccess : 100;
}
Code cuDriverGetVersion(int *version) {
  *version = int(setting("FAKE_CUDA_DRIVER", 13000));
  return kSuccess;
}
Code cuGetErrorName(Code code, const char **name) {
  static const std::map<Code, const char *> names = {
      {1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"}, {100, "CUDA_ERROR_NO_DEVICE"},
      {201, "CUDA_ERROR_INVALID_CONTEXT"}, {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
      {218, "CUDA_ERROR_INVALID_PTX"},
      {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}, {500, "CUDA_ERROR_NOT_FOUND"},
      {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"}};
  auto found = names.find(code);
  *name = found == names.end() ? nullptr : found->second;
  return *name ? kSuccess : kInvalidValue;
}
Code cuGetErrorString(Code, const char **words) {
  *words = "as a fake says it";
  return kSuccess;
}
Code cuDeviceGetCount(int *count) {
  *count = int(setting("FAKE_CUDA_DEVICES", 1));
  return kSuccess;
}
Code cuDeviceGet(int *device, int index) {
  *device = index;
  return index < setting("FAKE_CUDA_DEVICES", 1) ? kSuccess : kInvalidDevice;
}
Code cuDeviceGetName(char *name, int bytes, int device) {
  std::snprintf(name, size_t(bytes), "Fake GPU %d", device);
  return kSuccess;
}
Code cuDeviceGetAttribute(int *value, int attribute, int) {
  int64_t chip = setting("FAKE_CUDA_CHIP", 90);
  *value = int(attribute == 75 ? chip / 10 : chip % 10);
  return attribute == 75 || attribute == 76 ? kSuccess : kInvalidValue;
}
Code cuDevicePrimaryCtxRetain(void **context, int) {
  if (Code code = wanted_failure(__func__))
    return code;
  *context = &fake;
  return kSuccess;
}
Code cuDevicePrimaryCtxRelease_v2(int) {
  note("released, " + std::to_string(fake.memory.size()) + " allocations left");
  return kSuccess;
}
Code cuCtxSetCurrent(void *context) {
  fake.entered = context == &fake;
  return kSuccess;
}

Code cuMemGetInfo_v2(size_t *free, size_t *total) {
  *total = size_t(setting("FAKE_CUDA_MEMORY", int64_t(1) << 30));
  *free = *total - fake.used;
  return kSuccess;
}
Code cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  if (Code code = wanted_failure(__func__))
    return code;
  if (fake.used + bytes > size_t(setting("FAKE_CUDA_MEMORY", int64_t(1) << 30)))
    return kOutOfMemory;
  void *data = std::malloc(bytes);
  std::memset(data, 0xcd, bytes); // a device's memory is not zero at first
  *address = uint64_t(data);
  fake.memory[*address] = bytes;
  fake.used += bytes;
  return kSuccess;
}
Code cuMemFree_v2(uint64_t address) {
  auto found = fake.memory.find(address);
  if (found == fake.memory.end())
    return kInvalidValue;
  fake.used -= found->second;
  fake.memory.erase(found);
  fake.guards.erase(address);
  std::free(reinterpret_cast<void *>(address));
  return kSuccess;
}
Code cuMemHostAlloc(void **data, size_t bytes, unsigned) {
  if (Code code = wanted_failure(__func__))
    return code;
  *data = std::malloc(bytes);
  return kSuccess;
}
Code cuMemFreeHost(void *data) {
  std::free(data);
  return kSuccess;
}

Code cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *) {
  if (Code code = wanted_failure(__func__))
    return code;
  return submit([=] {
    if (!lives(to, bytes))
      return Code(kInvalidValue);
    std::memcpy(reinterpret_cast<void *>(to), from, bytes);
    note_guards(to, from, bytes);
    return Code(kSuccess);
  });
}
Code cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *) {
  if (Code code = wanted_failure(__func__))
    return code;
  return submit([=] {
    if (!lives(from, bytes))
      return Code(kInvalidValue);
    std::memcpy(to, reinterpret_cast<void *>(from), bytes);
    return Code(kSuccess);
  });
}
Code cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *) {
  if (Code code = wanted_failure(__func__))
    return code;
  return submit([=] {
    if (!lives(to, bytes) || !lives(from, bytes))
      return Code(kInvalidValue);
    std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), bytes);
    return Code(kSuccess);
  });
}
Code cuMemsetD8Async(uint64_t to, unsigned char value, size_t bytes, void *) {
  return submit([=] {
    if (!lives(to, bytes))
      return Code(kInvalidValue);
    std::memset(reinterpret_cast<void *>(to), value, bytes);
    return Code(kSuccess);
  });
}

Code cuStreamCreate(void **stream, unsigned) {
  if (Code code = wanted_failure(__func__))
    return code;
  *stream = &fake;
  return kSuccess;
}
Code cuStreamDestroy_v2(void *) { return kSuccess; }
Code cuStreamSynchronize(void *) {
  if (Code code = wanted_failure(__func__))
    return code;
  return fake.recording ? Code(kInvalidValue) : Code(kSuccess);
}
Code cuStreamBeginCapture_v2(void *, int) {
  if (Code code = wanted_failure(__func__))
    return code;
  fake.recording = new Graph();
  return kSuccess;
}
Code cuStreamEndCapture(void *, Graph **graph) {
  *graph = fake.recording;
  fake.recording = nullptr;
  return *graph ? kSuccess : kInvalidValue;
}
#ifndef FAKE_CUDA_OLD
Code cuGraphInstantiateWithFlags(Graph **exec, Graph *graph, unsigned long long) {
  if (Code code = wanted_failure(__func__))
    return code;
  *exec = new Graph(*graph);
  note("graph of " + std::to_string(graph->work.size()));
  return kSuccess;
}
#endif
Code cuGraphLaunch(Graph *exec, void *) {
  if (Code code = wanted_failure(__func__))
    return code;
  for (const Work &work : exec->work)
    if (Code code = work())
      return code;
  return kSuccess;
}
Code cuGraphExecDestroy(Graph *exec) {
  delete exec;
  return kSuccess;
}
Code cuGraphDestroy(Graph *graph) {
  delete graph;
  return kSuccess;
}

Code cuModuleLoadDataEx(void **module, const void *image, unsigned, int *, void **) {
  bool cubin = std::memcmp(image, "\177ELF", 4) == 0;
  if (Code code = wanted_failure(cubin ? "cubin" : "ptx"))
    return code;
  auto loaded = std::make_unique<Module>();
  loaded->kernel = kernel_of(image);
  note(std::string("module ") + (cubin ? "cubin " : "ptx ") + (loaded->kernel ? loaded->kernel->name : "interpreted"));
  if (!loaded->kernel && cubin)
    return kNoBinary;
  const char *wrong = std::getenv("FAKE_CUDA_WRONG");
  loaded->wrong = loaded->kernel && loaded->kernel->operands == 7 && wrong && std::strcmp(wrong, cubin ? "cubin" : "ptx") == 0;
  std::string problem;
  if (!loaded->kernel)
    loaded->program = ptx::Program::parse(static_cast<const char *>(image), problem);
  if (!problem.empty())
    note("fault: " + problem);
  if (!loaded->kernel && !loaded->program)
    return kInvalidPtx;
  *module = loaded.release();
  return kSuccess;
}
Code cuModuleUnload(void *module) {
  delete static_cast<Module *>(module);
  return kSuccess;
}
Code cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = module;
  return std::strcmp(name, "main") == 0 ? Code(kSuccess) : Code(kNotFound);
}
Code cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned, unsigned,
                    void *, void **arguments, void **) {
  if (Code code = wanted_failure(__func__))
    return code;
  const Module &module = *static_cast<const Module *>(function);
  if (x == 0 || y != 1 || z != 1)
    return kInvalidValue;
  std::vector<uint64_t> values;
  for (size_t i = 0; i < module.arguments(); ++i)
    values.push_back(*static_cast<const uint64_t *>(arguments[i]));
  return submit([&module, values, x, threads] { return module.run(values, x, threads); });
}

} // extern "C"
