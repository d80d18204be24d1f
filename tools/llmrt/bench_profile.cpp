#include "tools/llmrt/bench_profile.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/schema/artifact_generated.h"
#include "tools/llmrt/bench_work.h"

#include <algorithm>
#include <cstdio>
#include <map>

namespace llmrt::tool {

namespace {

struct Line {
  std::string name;
  double nanoseconds = 0, runs = 0, bytes = 0, ops = 0;
};

// "l7.down" and "layer 7" without the layer.
std::string without_layer(const std::string &label) {
  size_t digits = label.find_first_of("0123456789");
  if (digits == std::string::npos)
    return label;
  size_t end = label.find_first_not_of("0123456789", digits);
  if (label.compare(0, digits, "l") == 0 && end != std::string::npos && label[end] == '.')
    return label.substr(end + 1);
  return label.compare(0, digits, "layer ") == 0 && end == std::string::npos ? "" : label;
}

// What equal dispatches of all layers did in one step, most time first.
std::vector<Line> lines_of(const Artifact &artifact, const CpuProfile &profile) {
  const schema::Artifact &meta = artifact.meta();
  const schema::Program &program = *find_step(meta, kCpuTarget);
  std::map<std::string, Line> lines;
  for (size_t i = 0; i < profile.rows.size(); ++i) {
    const CpuProfile::Row &row = profile.rows[i];
    const std::string label = without_layer(row.label);
    Line &line = lines[row.kernel + " " + label];
    line.name = label.empty() ? row.kernel : label + " (" + row.kernel + ")";
    const double steps = static_cast<double>(std::max<uint64_t>(profile.runs, 1));
    line.nanoseconds += static_cast<double>(row.nanoseconds) / steps;
    line.runs += static_cast<double>(row.runs) / steps;
    const schema::KernelDispatch *dispatch =
        program.dispatches()->Get(static_cast<uint32_t>(i))->op_as_KernelDispatch();
    if (!dispatch)
      continue;
    const DispatchWork work = dispatch_work(meta, *dispatch);
    line.bytes += row.step_rows > 0 ? work.weight_bytes * static_cast<double>(row.runs) / steps : 0;
    line.ops += work.ops * static_cast<double>(row.step_rows) / steps;
    if (work.cache_group >= 0)
      line.bytes += work.cache_bytes * static_cast<double>(profile.seen_tokens[size_t(work.cache_group)]) / steps;
  }
  std::vector<Line> out;
  for (auto &[key, line] : lines)
    out.push_back(std::move(line));
  std::sort(out.begin(), out.end(), [](const Line &a, const Line &b) { return a.nanoseconds > b.nanoseconds; });
  return out;
}

std::string percent(double part, double whole) {
  return whole > 0 && part > 0 ? format_fixed(100 * part / whole, 1) + "%" : "-";
}

std::string row_text(const Line &line, double step_ns, double read_gbps, double dot_gops) {
  char text[256];
  // Bytes a nanosecond are GB a second.
  snprintf(text, sizeof text, "%11.2f %6s %6.0f %10.3f %9.3f %8s %7s  ", line.nanoseconds / 1e3,
           percent(line.nanoseconds, step_ns).c_str(), line.runs, line.bytes / 1e6, line.ops / 1e9,
           percent(line.bytes / std::max(line.nanoseconds, 1.0), read_gbps).c_str(),
           percent(line.ops / std::max(line.nanoseconds, 1.0), dot_gops).c_str());
  return text + line.name + "\n";
}

std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

} // namespace

std::string profile_table(const Artifact &artifact, const ProfiledSteps &steps, double read_gbps, double dot_gops) {
  if (steps.profile.runs == 0)
    return {};
  const double step_ns = steps.seconds * 1e9 / static_cast<double>(steps.profile.runs);
  std::string out = " us a step   part   runs         MB       Gop  of read  of dot  dispatch\n";
  double dispatches = 0;
  for (const Line &line : lines_of(artifact, steps.profile)) {
    out += row_text(line, step_ns, read_gbps, dot_gops);
    dispatches += line.nanoseconds;
  }
  char text[160];
  snprintf(text, sizeof text, "%11.2f %6s  outside of dispatches; %llu steps of %.2f us\n", (step_ns - dispatches) / 1e3,
           percent(step_ns - dispatches, step_ns).c_str(), static_cast<unsigned long long>(steps.profile.runs),
           step_ns / 1e3);
  return out + text;
}

Status write_trace(const Artifact &artifact, const CpuProfile &profile, const std::string &path) {
  std::string out = "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"artifact\":" + quoted(artifact.path()) +
                    "},\"traceEvents\":[\n";
  const uint64_t start = profile.spans.empty() ? 0 : profile.spans.front().begin;
  for (size_t i = 0; i < profile.spans.size(); ++i) {
    const CpuProfile::Span &span = profile.spans[i];
    const CpuProfile::Row &row = profile.rows[span.row];
    char times[96]; // microseconds
    snprintf(times, sizeof times, "\"ts\":%.3f,\"dur\":%.3f", static_cast<double>(span.begin - start) / 1e3,
             static_cast<double>(span.end - span.begin) / 1e3);
    out += (i ? ",\n" : "") + ("{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"name\":" + quoted(row.label.empty() ? row.kernel : row.label)) +
           ",\"cat\":" + quoted(row.kernel) + "," + times + "}";
  }
  out += "\n]}\n";
  Result<os::AtomicFile> file = os::AtomicFile::create(path);
  if (!file.ok())
    return file.status();
  if (Status status = file->write(std::as_bytes(std::span(out))); !status.ok())
    return status;
  return file->commit();
}

} // namespace llmrt::tool
