#include "runtime/artifact/inspect.h"

#include "runtime/artifact/code_table.h"
#include "runtime/artifact/features.h"
#include "runtime/artifact/prefix.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/text.h"

#include <map>
#include <set>

namespace llmrt {

namespace {

// Writes JSON objects and arrays; commas are put where they belong.
class JsonWriter {
public:
  void open(char bracket) {
    separate();
    text_ += bracket;
    first_ = true;
  }
  void close(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void key(std::string_view name) {
    separate();
    append_json_string(text_, name);
    text_ += ": ";
    first_ = true;
  }
  void string(std::string_view value) {
    separate();
    append_json_string(text_, value);
  }
  void raw(std::string_view value) {
    separate();
    text_ += value;
  }
  void field(std::string_view name, std::string_view value) {
    key(name);
    string(value);
  }
  void field(std::string_view name, uint64_t value) {
    key(name);
    raw(std::to_string(value));
  }
  std::string take() { return std::move(text_); }

private:
  void separate() {
    if (!first_)
      text_ += ", ";
    first_ = false;
  }
  std::string text_;
  bool first_ = true;
};

struct KernelRow {
  std::string name, target, tier;
  uint64_t features;
  const llmrt_kernel_entry *entry;
};

std::string id_text(const llmrt_kernel_entry &entry) { return to_hex({entry.id, sizeof entry.id}); }

// Every variant of every tier, in file order. The tables have been verified when the artifact was opened.
std::vector<KernelRow> kernel_rows(const Artifact &artifact) {
  const schema::Artifact &meta = artifact.meta();
  std::map<std::string, std::string> names;
  for (uint32_t i = 0; i < count_of(meta.kernels()); ++i) {
    const schema::Kernel &kernel = *meta.kernels()->Get(i);
    names[to_hex({kernel.id()->data(), kernel.id()->size()})] = std::string(text_of(kernel.name()));
  }
  std::vector<KernelRow> rows;
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    if (!is_known_code(segment))
      continue;
    Result<CodeTable> table = CodeTable::parse(artifact.segment(i));
    if (!table)
      continue;
    for (const llmrt_kernel_entry &entry : table->entries()) {
      auto found = names.find(id_text(entry));
      rows.push_back({found == names.end() ? id_text(entry) : found->second, std::string(text_of(segment.target())),
                      std::string(text_of(segment.layout())), entry.features | table->header().features, &entry});
    }
  }
  return rows;
}

const char *kind_text(const schema::Segment &segment) {
  if (segment.kind() == schema::SegmentKind::RandomWeights)
    return "random_weights";
  return segment.kind() == schema::SegmentKind::Weights ? "weights" : "code";
}

void write_segments(JsonWriter &json, const schema::Artifact &meta) {
  json.key("segments");
  json.open('[');
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    json.open('{');
    json.field("name", text_of(segment.name()));
    json.field("offset", segment.offset());
    json.field("bytes", segment.bytes());
    json.field("sha256", to_hex({segment.sha256()->bytes()->Data(), 32}));
    json.field("layout", text_of(segment.layout()));
    json.field("kind", kind_text(segment));
    json.field("target", text_of(segment.target()));
    json.close('}');
  }
  json.close(']');
}

void write_kernels(JsonWriter &json, const std::vector<KernelRow> &rows) {
  json.key("kernels");
  json.open('[');
  for (const KernelRow &row : rows) {
    json.open('{');
    json.field("name", row.name);
    json.field("target", row.target);
    json.key("features");
    json.open('[');
    for (const std::string &feature : feature_names(row.features))
      json.string(feature);
    json.close(']');
    json.field("tier", row.tier);
    json.field("id", id_text(*row.entry));
    json.field("first_rows", uint64_t(row.entry->first_rows));
    json.key("last_rows");
    json.raw(row.entry->last_rows == INT64_MAX ? "null" : std::to_string(row.entry->last_rows));
    json.field("bytes", row.entry->code_bytes);
    json.close('}');
  }
  json.close(']');
}

template <typename Names> void write_names(JsonWriter &json, std::string_view key, const Names &names) {
  json.key(key);
  json.open('[');
  for (const auto &name : names)
    json.string(name);
  json.close(']');
}

std::string joined(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

struct ProgramParts {
  std::string name, activations;
  std::vector<std::string> targets; // all where there are none
  uint32_t dispatches = 0, candidates = 0;
  std::set<uint32_t> kernels;
};

void add_kernels(const flatbuffers::Vector<flatbuffers::Offset<schema::DispatchEntry>> *dispatches,
                 std::set<uint32_t> &kernels) {
  for (uint32_t i = 0; i < count_of(dispatches); ++i)
    if (const schema::KernelDispatch *dispatch = dispatches->Get(i)->op_as_KernelDispatch())
      kernels.insert(dispatch->kernel());
}

ProgramParts parts_of(const schema::Program &program, const schema::Model &model) {
  ProgramParts parts;
  parts.name = text_of(program.name());
  parts.activations = text_of(program.activations() ? program.activations() : model.activations());
  for (uint32_t i = 0; i < count_of(program.targets()); ++i)
    parts.targets.emplace_back(text_of(program.targets()->Get(i)));
  parts.dispatches = count_of(program.dispatches());
  add_kernels(program.dispatches(), parts.kernels);
  if (program.candidates()) {
    parts.candidates = program.candidates()->count();
    add_kernels(program.candidates()->dispatches(), parts.kernels);
  }
  return parts;
}

// "step for cpu, activations int8, 39 dispatches of 20 kernels"
std::string program_text(const schema::Program &program, const schema::Model &model) {
  ProgramParts parts = parts_of(program, model);
  std::string text = parts.name;
  if (!parts.targets.empty())
    text += " for " + joined(parts.targets) + ", activations " + parts.activations;
  text += ", " + std::to_string(parts.dispatches) + " dispatches of " + std::to_string(parts.kernels.size()) + " kernels";
  if (parts.candidates > 0)
    text += "; on GPUs the best " + std::to_string(parts.candidates) + " logits of each row by themselves";
  return text;
}

void write_programs(JsonWriter &json, const schema::Artifact &meta) {
  json.key("program_details");
  json.open('[');
  for (uint32_t i = 0; i < count_of(meta.programs()); ++i) {
    ProgramParts parts = parts_of(*meta.programs()->Get(i), *meta.model());
    json.open('{');
    json.field("name", parts.name);
    write_names(json, "targets", parts.targets);
    json.field("activations", parts.activations);
    json.field("dispatches", parts.dispatches);
    json.field("kernels", parts.kernels.size());
    json.field("candidates", parts.candidates);
    json.close('}');
  }
  json.close(']');
}

struct Parts {
  std::set<std::string> targets;
  std::vector<std::string> tiers, programs;
  uint64_t weight_bytes = 0, code_bytes = 0;
  uint64_t random_bytes = 0; // not in the file
};

Parts parts_of(const schema::Artifact &meta) {
  Parts parts;
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    if (text_of(segment.target()).size() > 0)
      parts.targets.insert(std::string(text_of(segment.target())));
    if (is_known_code(segment))
      parts.tiers.push_back(std::string(text_of(segment.layout())));
    uint64_t &part = segment.kind() == schema::SegmentKind::RandomWeights ? parts.random_bytes
                     : holds_weights(segment)                              ? parts.weight_bytes
                                                                           : parts.code_bytes;
    part += segment.bytes();
  }
  for (uint32_t i = 0; i < count_of(meta.programs()); ++i)
    parts.programs.push_back(std::string(text_of(meta.programs()->Get(i)->name())));
  return parts;
}

uint64_t metadata_bytes(const Artifact &artifact) {
  Result<Prefix> prefix = parse_prefix(artifact.bytes());
  return prefix ? prefix->metadata_bytes : 0;
}

} // namespace

std::string inspect_json(const Artifact &artifact) {
  const schema::Artifact &meta = artifact.meta();
  const schema::Model &model = *meta.model();
  Parts parts = parts_of(meta);
  JsonWriter json;
  json.open('{');
  json.field("root_hash", to_hex(artifact.root_hash()));
  write_names(json, "targets", parts.targets);
  write_names(json, "tiers", parts.tiers);
  json.field("quantization", text_of(model.quantization()));
  write_names(json, "programs", parts.programs);
  write_segments(json, meta);
  write_kernels(json, kernel_rows(artifact));
  json.field("producer", text_of(meta.producer()));
  json.field("model", text_of(model.name()));
  json.field("family", text_of(model.family()));
  json.field("dtype", text_of(model.dtype()));
  json.field("activations", text_of(model.activations()));
  json.field("kv_cache_dtype", text_of(model.kv_cache_dtype()));
  json.field("vocabulary", model.vocabulary());
  json.field("max_positions", model.max_positions());
  json.field("parameters", model.parameters());
  json.field("bytes", artifact.bytes().size());
  json.field("metadata_bytes", metadata_bytes(artifact));
  json.field("weight_bytes", parts.weight_bytes);
  json.field("code_bytes", parts.code_bytes);
  write_programs(json, meta);
  json.field("golden_vectors", count_of(meta.goldens()));
  json.field("golden_bytes", count_of(meta.golden_bytes()));
  if (parts.random_bytes > 0) {
    json.field("random_weight_bytes", parts.random_bytes);
    json.field("random_seed", meta.random()->seed());
  }
  json.close('}');
  return json.take();
}

std::string inspect_text(const Artifact &artifact) {
  const schema::Artifact &meta = artifact.meta();
  const schema::Model &model = *meta.model();
  Parts parts = parts_of(meta);
  std::string text;
  auto line = [&](std::string_view key, std::string_view value) {
    text += key;
    text.append(key.size() < 16 ? 16 - key.size() : 1, ' ');
    text += value;
    text += '\n';
  };
  line("root hash", to_hex(artifact.root_hash()));
  line("model", std::string(text_of(model.name())) + " (" + std::string(text_of(model.family())) + "), " +
                    std::to_string(model.parameters()) + " parameters");
  line("quantization", std::string(text_of(model.quantization())) + ", activations " +
                           std::string(text_of(model.activations())) + ", cache " +
                           std::string(text_of(model.kv_cache_dtype())));
  line("vocabulary", std::to_string(model.vocabulary()) + ", up to " + std::to_string(model.max_positions()) +
                         " positions");
  line("targets", joined({parts.targets.begin(), parts.targets.end()}));
  line("tiers", joined(parts.tiers));
  for (uint32_t i = 0; i < count_of(meta.programs()); ++i)
    line("program", program_text(*meta.programs()->Get(i), model));
  line("file", format_bytes(artifact.bytes().size()) + ": metadata " + format_bytes(metadata_bytes(artifact)) +
                   ", weights " + format_bytes(parts.weight_bytes) + ", code " + format_bytes(parts.code_bytes));
  line("self-test", std::to_string(count_of(meta.goldens())) + " golden vectors, " +
                        format_bytes(count_of(meta.golden_bytes())));
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    std::string place = segment.kind() == schema::SegmentKind::RandomWeights
                            ? " not in the file: made up at load from seed " + std::to_string(meta.random()->seed())
                            : " at " + std::to_string(segment.offset());
    line("segment", std::string(text_of(segment.name())) + place + ", " +
                        format_bytes(segment.bytes()) + ", " + std::string(text_of(segment.layout())));
  }
  return text;
}

} // namespace llmrt
