#include "tools/llmrt/model_memory.h"

#include "runtime/artifact/random_weights.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/schema/artifact_generated.h"
#include "runtime/session/pick_device.h"
#include "tools/llmrt/common.h"

#include <algorithm>

namespace llmrt::tool {

namespace {

constexpr int64_t kServerThreadBytes = int64_t(8) << 20; // its stack and an arena of the allocator

int exit_code(const Status &status) {
  return status.code() == StatusCode::kInvalidArgument ? usage(status.message()) : fail(status);
}

Result<MeasuredModel> measure_file(const ModelOptions &options, int64_t available, int server_threads) {
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options.path);
  if (!artifact.ok()) // a file that cannot be opened is not the flags' mistake
    return Status(StatusCode::kNotFound, artifact.status().message());
  if (!runs_on_cpu(**artifact, options))
    return Status(StatusCode::kUnsupported, "--print-memory counts the memory of --device cpu only in this version");
  return measure_memory(**artifact, options, available_beside_made(**artifact, available), server_threads);
}

void append_json(std::string &out, const MemoryReport &report) {
  out += "\"formula\":";
  append_json_string(out, report.formula);
  out += ",\"symbols\":{";
  for (size_t i = 0; i < report.symbols.size(); ++i) {
    out += i ? "," : "";
    append_json_string(out, report.symbols[i].first);
    out += ":" + std::to_string(report.symbols[i].second);
  }
  out += "},\"mapped_bytes\":" + std::to_string(report.mapped_bytes) +
         ",\"private_bytes\":" + std::to_string(report.private_bytes) +
         ",\"kv_bytes_per_page\":" + std::to_string(report.kv_bytes_per_page);
}

std::string readable(int64_t bytes) { return format_bytes(static_cast<uint64_t>(bytes)); }

void append_text(std::string &out, const MemoryReport &report) {
  out += "private bytes = " + report.formula + "\n";
  for (const auto &[name, value] : report.symbols)
    out += "  " + name + " = " + std::to_string(value) + "\n";
  out += "  = " + std::to_string(report.private_bytes) + " (" + readable(report.private_bytes) + ")\nmapped: " +
         readable(report.mapped_bytes) + " of the artifact\na KV page: " + readable(report.kv_bytes_per_page) + "\n";
}

void say_notice(const MeasuredModel &measured) {
  if (!measured.notice.empty())
    fprintf(stderr, "llmrt: %s\n", measured.notice.c_str());
}

} // namespace

bool runs_on_cpu(const Artifact &artifact, const ModelOptions &options) {
  if (options.device == "cpu")
    return true;
  bool picked = options.device.empty() || options.device == "auto";
  return picked && pick_device(artifact).device == "cpu";
}

Result<MeasuredModel> measure_memory(const Artifact &artifact, const ModelOptions &options, int64_t available_bytes,
                                     int server_threads) {
  Result<Sizing> sizing = size_engine(artifact.meta(), kCpuTarget, options.engine, available_bytes);
  if (!sizing.ok())
    return sizing.status();
  Result<int64_t> scratch = cpu_scratch_per_thread(artifact, options.cpu_tier, sizing->limits);
  if (!scratch.ok())
    return scratch.status();
  ProcessMemory process;
  process.threads = options.threads > 0 ? options.threads : os::usable_cpus();
  process.scratch_per_thread = *scratch;
  process.other_bytes += server_threads * kServerThreadBytes;
  return MeasuredModel{report_memory(artifact, *sizing, process), sizing->notice};
}

int64_t available_beside(int64_t start_bytes, int64_t promised_bytes) {
  const int64_t now = static_cast<int64_t>(os::available_memory());
  if (start_bytes <= 0 || now <= 0)
    return now;
  return std::max<int64_t>(1, std::min(now, start_bytes - promised_bytes));
}

int64_t available_beside_made(const Artifact &artifact, int64_t available_bytes) {
  if (available_bytes <= 0)
    return available_bytes;
  return std::max<int64_t>(1, available_bytes - int64_t(random_weight_bytes(artifact.meta())));
}

int64_t kv_bytes_of(const Model &model) {
  int64_t bytes = 0;
  const auto *groups = model.artifact->meta().cache_groups();
  for (unsigned i = 0; groups && i < groups->size(); ++i)
    bytes += model.engine->limits().pages[i] * static_cast<int64_t>(groups->Get(i)->layers()) *
             static_cast<int64_t>(groups->Get(i)->bytes_per_page_layer());
  return bytes;
}

int print_memory(const ModelOptions &options, bool json, int server_threads) {
  Result<MeasuredModel> measured =
      measure_file(options, static_cast<int64_t>(os::available_memory()), server_threads);
  if (!measured.ok())
    return exit_code(measured.status());
  std::string out = json ? "{" : "";
  if (json)
    append_json(out, measured->report);
  else
    append_text(out, measured->report);
  say_notice(*measured);
  return print(out + (json ? "}\n" : "")) && flush_stdout() ? kOk : kError;
}

int print_memory_of_all(const std::vector<ModelOptions> &models, bool json, int server_threads) {
  const int64_t start = static_cast<int64_t>(os::available_memory());
  int64_t mapped = 0, promised = 0;
  std::string out = json ? "{\"models\":[" : "";
  for (const ModelOptions &one : models) {
    bool first = &one == &models.front();
    Result<MeasuredModel> measured = measure_file(one, available_beside(start, promised), first ? server_threads : 0);
    if (!measured.ok())
      return exit_code(Status(measured.status().code(), one.path + ": " + measured.status().message()));
    const std::string name = model_id_of_path(one.path);
    if (json) {
      out += first ? "{\"model\":" : ",{\"model\":";
      append_json_string(out, name);
      out += ",";
      append_json(out, measured->report);
      out += "}";
    } else {
      out += name + ":\n";
      append_text(out, measured->report);
    }
    mapped += measured->report.mapped_bytes;
    promised += measured->report.private_bytes;
    say_notice(*measured);
  }
  out += json ? "],\"mapped_bytes\":" + std::to_string(mapped) + ",\"private_bytes\":" + std::to_string(promised) + "}\n"
              : "all models: private " + readable(promised) + ", mapped " + readable(mapped) + "\n";
  return print(out) && flush_stdout() ? kOk : kError;
}

} // namespace llmrt::tool
