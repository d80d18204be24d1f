#include "runtime/artifact/verify.h"

#include "runtime/artifact/prefix.h"
#include "runtime/artifact/verify_internal.h"
#include "runtime/base/sha256.h"

#include <algorithm>
#include <cstring>

namespace llmrt {

using namespace verify_internal;

std::string_view text_of(const flatbuffers::String *string) {
  return string ? std::string_view(string->c_str(), string->size()) : std::string_view();
}

bool is_code_of(const schema::Segment &segment, std::string_view target) {
  return segment.kind() == schema::SegmentKind::Code && text_of(segment.target()) == target;
}

bool holds_weights(const schema::Segment &segment) {
  return segment.kind() == schema::SegmentKind::Weights || segment.kind() == schema::SegmentKind::RandomWeights;
}

bool has_random_weights(const schema::Artifact &meta) {
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i)
    if (meta.segments()->Get(i)->kind() == schema::SegmentKind::RandomWeights)
      return true;
  return false;
}

bool is_known_code(const schema::Segment &segment) {
  return is_cpu_code(segment) || is_code_of(segment, kVulkanTarget) || is_code_of(segment, kCudaTarget);
}

bool is_for(const schema::Program &program, std::string_view target) {
  for (uint32_t i = 0; i < count_of(program.targets()); ++i)
    if (text_of(program.targets()->Get(i)) == target)
      return true;
  return count_of(program.targets()) == 0;
}

const schema::Program *find_step(const schema::Artifact &meta, std::string_view target) {
  for (uint32_t i = 0; i < count_of(meta.programs()); ++i) {
    const schema::Program &program = *meta.programs()->Get(i);
    if (text_of(program.name()) == "step" && is_for(program, target))
      return &program;
  }
  return nullptr;
}

const schema::Size *arena_of(const schema::Artifact &meta, std::string_view target) {
  const schema::Program *step = find_step(meta, target);
  return step && step->arena() ? step->arena() : meta.arena();
}

const schema::Artifact *verify_flatbuffer(std::span<const std::byte> metadata) {
  const auto *bytes = reinterpret_cast<const uint8_t *>(metadata.data());
  if (metadata.size() < 16 || metadata.size() > kMaxMetadataBytes)
    return nullptr;
  flatbuffers::Verifier::Options options;
  options.max_depth = 16; // the deepest table of the schema is at 8
  options.max_tables = 4000000;
  flatbuffers::Verifier verifier(bytes, metadata.size(), options);
  return schema::VerifyArtifactBuffer(verifier) ? schema::GetArtifact(bytes) : nullptr;
}

namespace verify_internal {

std::string printable(std::string_view text) {
  std::string result(text.substr(0, 80));
  for (char &c : result)
    if (c < ' ' || c > '~')
      c = '?';
  return result;
}

std::string named(const char *kind, uint32_t index, const flatbuffers::String *name) {
  std::string text = std::string(kind) + " " + std::to_string(index);
  if (name && name->size() > 0)
    text += " (" + printable(text_of(name)) + ")";
  return text;
}

bool symbol_exists(const Context &context, schema::Symbol symbol) {
  return symbol == schema::Symbol::HiddenRows || uint32_t(symbol) < uint32_t(schema::Symbol::Pages0) + context.groups;
}

Status check_size(const Context &context, const schema::Size *size, const std::string &where) {
  if (!size || !size->terms())
    return ok_status();
  if (!is_aligned(size->terms()))
    return corrupt(where, "is not aligned in the metadata");
  if (size->terms()->size() > 64)
    return corrupt(where, "has more than 64 terms");
  for (const schema::Term *term : *size->terms()) {
    if (!symbol_exists(context, term->a()) || !symbol_exists(context, term->b()))
      return corrupt(where, "names a symbol that does not exist");
    if (term->coefficient() < 0)
      return corrupt(where, "has a negative coefficient");
  }
  return Polynomial(size).overflowed() ? corrupt(where, "overflows") : ok_status();
}

Status check_weights(const Context &context) {
  const auto *weights = context.meta.weights();
  for (uint32_t i = 0; i < count_of(weights); ++i) {
    const schema::Weight &weight = *weights->Get(i);
    std::string where = named("weight", i, weight.name());
    if (weight.segment() >= count_of(context.meta.segments()))
      return corrupt(where, "names a segment that does not exist");
    const schema::Segment &segment = *context.meta.segments()->Get(weight.segment());
    if (!holds_weights(segment))
      return corrupt(where, "lies in a segment that does not hold weights");
    if (weight.offset() % kWeightAlignment != 0)
      return corrupt(where, "is not aligned to 64 bytes");
    if (weight.offset() > segment.bytes() || weight.bytes() > segment.bytes() - weight.offset())
      return corrupt(where, "does not lie in its segment");
    uint64_t elements;
    if (__builtin_mul_overflow(weight.rows(), weight.columns(), &elements) || elements > uint64_t(INT64_MAX))
      return corrupt(where, "has a shape that overflows");
    for (uint32_t s = 0; s < count_of(weight.sources()); ++s) {
      const schema::SourceRows &source = *weight.sources()->Get(s);
      if (source.row_count() > UINT64_MAX - source.first_row())
        return corrupt(where, "has a range of source rows that overflows");
    }
  }
  return ok_status();
}

namespace {

constexpr uint64_t kMaxRandomBytes = uint64_t(1) << 46;

Status check_segment(const schema::Segment &segment, const std::string &where, uint64_t file_bytes) {
  if (uint8_t(segment.kind()) > uint8_t(schema::SegmentKind::MAX))
    return corrupt(where, "is of an unknown kind");
  bool random = segment.kind() == schema::SegmentKind::RandomWeights;
  if (random && (segment.offset() != 0 || segment.bytes() > kMaxRandomBytes))
    return corrupt(where, "is not in the file and has an offset, or more bytes than any machine");
  if (segment.offset() % kSegmentAlignment != 0)
    return corrupt(where, "is not aligned to 64 KB");
  if (!random && (segment.offset() > file_bytes || segment.bytes() > file_bytes - segment.offset()))
    return corrupt(where, "does not lie in the file");
  if (!segment.sha256())
    return corrupt(where, "has no hash");
  uint64_t chunks = holds_weights(segment) ? (segment.bytes() + kHashChunk - 1) / kHashChunk : 0;
  if (count_of(segment.chunk_sha256()) != chunks)
    return corrupt(where, "does not have one hash for each MiB");
  return ok_status();
}

bool is_architecture_of(std::string_view target, uint32_t architecture) {
  if (target == kVulkanTarget)
    return architecture == LLMRT_ARCH_SPIRV;
  if (target == kCudaTarget)
    return architecture == LLMRT_ARCH_PTX || architecture == LLMRT_ARCH_CUBIN;
  return architecture == LLMRT_ARCH_X86_64 || architecture == LLMRT_ARCH_ARM64;
}

// Opens the tables of every tier of every target that is known; what is for other targets is not looked at.
Status read_tiers(Context &context) {
  const auto *segments = context.meta.segments();
  for (uint32_t i = 0; i < count_of(segments); ++i) {
    const schema::Segment &segment = *segments->Get(i);
    if (!is_known_code(segment))
      continue;
    std::string name(text_of(segment.layout()));
    std::string where = named("segment", i, segment.name());
    for (const Tier &tier : context.tiers)
      if (tier.name == name)
        return corrupt(where, "is a tier that is there twice");
    Result<CodeTable> table = CodeTable::parse(context.file.subspan(segment.offset(), segment.bytes()));
    if (!table)
      return Status(table.status().code(), where + ": " + table.status().message());
    if (!is_architecture_of(text_of(segment.target()), table->header().architecture))
      return corrupt(where, "holds the code of another target than it says");
    context.tiers.push_back({std::move(name), *std::move(table), text_of(segment.target())});
  }
  return ok_status();
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte(0); });
}

} // namespace

} // namespace verify_internal

Status verify_segments(const schema::Artifact &meta, uint64_t file_bytes, uint64_t metadata_end) {
  uint64_t end = metadata_end;
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    std::string where = named("segment", i, segment.name());
    if (Status status = check_segment(segment, where, file_bytes); !status.ok())
      return status;
    if (segment.kind() == schema::SegmentKind::RandomWeights)
      continue;
    if (segment.offset() < end)
      return corrupt(where, "overlaps what lies before it");
    if (segment.offset() - end >= kSegmentAlignment)
      return corrupt(where, "leaves a gap before it");
    end = segment.offset() + segment.bytes();
  }
  if (end != file_bytes)
    return corrupt("the segments do not end with the file");
  return ok_status();
}

Status verify_hashes(const schema::Artifact &meta, std::span<const std::byte> file, uint64_t metadata_end) {
  uint64_t end = metadata_end;
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    std::string where = named("segment", i, segment.name());
    if (segment.kind() == schema::SegmentKind::RandomWeights)
      continue;
    if (!all_zero(file.subspan(end, segment.offset() - end)))
      return corrupt(where, "the padding before it is not zero");
    end = segment.offset() + segment.bytes();
    if (segment.kind() == schema::SegmentKind::Weights)
      continue;
    Sha256Digest digest = sha256(file.subspan(segment.offset(), segment.bytes()));
    if (std::memcmp(digest.data(), segment.sha256()->bytes()->Data(), digest.size()) != 0)
      return corrupt(where, "its bytes are not what its hash says: the file is damaged, copy or compile it again");
  }
  return ok_status();
}

Status verify_contents(const schema::Artifact &meta, std::span<const std::byte> file) {
  // What the tokenizer's tables mean is checked where they are used; that they can be read at all, here.
  if (meta.tokenizer() && meta.tokenizer()->vocabulary() && !is_aligned(meta.tokenizer()->vocabulary()->scores()))
    return corrupt("the tokenizer's scores are not aligned in the metadata");
  Context context{meta, file, 0, {}, 0, {}, {}, {}};
  if (Status status = check_model(context); !status.ok())
    return status;
  if (Status status = check_weights(context); !status.ok())
    return status;
  if (Status status = check_random_weights(context); !status.ok())
    return status;
  if (Status status = check_memory(context); !status.ok())
    return status;
  if (Status status = read_tiers(context); !status.ok())
    return status;
  if (Status status = check_programs(context); !status.ok())
    return status;
  return check_goldens(context);
}

} // namespace llmrt
