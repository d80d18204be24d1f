#include "runtime/artifact/testing/artifact_builder.h"

#include "runtime/artifact/prefix.h"
#include "runtime/artifact/verify.h"
#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <cstring>

namespace llmrt::testing {

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// ---- code segments -------------------------------------------------------------------------------------------------
struct Tables {
  std::vector<llmrt_kernel_entry> entries;
  std::vector<llmrt_operand> operands;
  std::vector<llmrt_constraint> constraints;
  std::vector<llmrt_term> terms;

  llmrt_expression add(const ExpressionSpec &spec) {
    llmrt_expression expression{uint32_t(terms.size()), uint32_t(spec.size())};
    for (const CodeTermSpec &term : spec)
      terms.push_back({term.coefficient, {term.scalars[0], term.scalars[1], term.scalars[2]}, 0});
    return expression;
  }
};

void add_variant(Tables &tables, const VariantSpec &spec) {
  llmrt_kernel_entry entry{};
  std::memcpy(entry.id, spec.id.data(), sizeof entry.id);
  entry.code_bytes = uint32_t(spec.code.size());
  entry.features = spec.features;
  entry.first_rows = spec.first_rows;
  entry.last_rows = spec.last_rows;
  entry.items = tables.add(spec.items);
  entry.scratch = tables.add(spec.scratch);
  entry.first_operand = uint32_t(tables.operands.size());
  entry.operand_count = uint32_t(spec.operands.size());
  for (const CodeOperandSpec &operand : spec.operands)
    tables.operands.push_back(
        {operand.access, operand.alignment, tables.add(operand.extent), tables.add(operand.maximum)});
  entry.first_constraint = uint32_t(tables.constraints.size());
  entry.constraint_count = uint32_t(spec.constraints.size());
  for (const ExpressionSpec &constraint : spec.constraints)
    tables.constraints.push_back({tables.add(constraint)});
  entry.scalar_count = spec.scalar_count;
  entry.grain = spec.grain;
  tables.entries.push_back(entry);
}

template <typename T> void append(std::vector<std::byte> &out, const std::vector<T> &rows) {
  std::span<const std::byte> bytes = std::as_bytes(std::span(rows));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// ---- metadata ------------------------------------------------------------------------------------------------------
Offset<schema::Size> make_size(FlatBufferBuilder &builder, const SizeSpec &spec) {
  std::vector<schema::Term> terms;
  for (const TermSpec &term : spec)
    terms.emplace_back(term.coefficient, schema::Symbol(term.a), schema::Symbol(term.b));
  return schema::CreateSize(builder, builder.CreateVectorOfStructs(terms));
}

schema::Sha256 make_hash(std::span<const std::byte> bytes) {
  Sha256Digest digest = sha256(bytes);
  schema::Sha256 result;
  static_assert(sizeof result == digest.size());
  std::memcpy(static_cast<void *>(&result), digest.data(), sizeof result);
  return result;
}

Offset<schema::Segment> make_segment(FlatBufferBuilder &builder, const SegmentSpec &spec, uint64_t offset) {
  std::vector<schema::Sha256> chunks;
  std::span<const std::byte> bytes(spec.bytes);
  for (size_t at = 0; spec.kind != 1 && at < bytes.size(); at += kHashChunk)
    chunks.push_back(make_hash(bytes.subspan(at, std::min<size_t>(kHashChunk, bytes.size() - at))));
  chunks.resize(chunks.size() + size_t(spec.chunks_too_many));
  schema::Sha256 hash = make_hash(bytes);
  auto name = builder.CreateString(spec.name), layout = builder.CreateString(spec.layout),
       target = builder.CreateString(spec.target);
  auto chunk_vector = builder.CreateVectorOfStructs(chunks);
  schema::SegmentBuilder segment(builder);
  segment.add_name(name);
  segment.add_kind(schema::SegmentKind(spec.kind));
  segment.add_offset(spec.offset.value_or(offset));
  segment.add_bytes(spec.size.value_or(spec.bytes.size()));
  if (spec.hash)
    segment.add_sha256(&hash);
  segment.add_chunk_sha256(chunk_vector);
  segment.add_layout(layout);
  segment.add_target(target);
  return segment.Finish();
}

Offset<schema::Operand> make_operand(FlatBufferBuilder &builder, const OperandSpec &spec) {
  return schema::CreateOperand(builder, schema::OperandKind(spec.kind), spec.index, spec.group,
                               make_size(builder, spec.offset));
}

Offset<void> make_op(FlatBufferBuilder &builder, const DispatchSpec &spec) {
  if (spec.type == int(schema::Dispatch::CopyDispatch)) {
    auto from = spec.operands.size() > 0 ? make_operand(builder, spec.operands[0]) : Offset<schema::Operand>();
    auto to = spec.operands.size() > 1 ? make_operand(builder, spec.operands[1]) : Offset<schema::Operand>();
    return schema::CreateCopyDispatch(builder, from, to, make_size(builder, spec.bytes)).Union();
  }
  if (spec.type == int(schema::Dispatch::CallDispatch))
    return schema::CreateCallDispatch(builder, 0).Union();
  if (spec.type == int(schema::Dispatch::CollectiveDispatch))
    return schema::CreateCollectiveDispatch(builder).Union();
  std::vector<Offset<schema::Operand>> operands;
  for (const OperandSpec &operand : spec.operands)
    operands.push_back(make_operand(builder, operand));
  std::vector<schema::Scalar> scalars;
  for (const ScalarSpec &scalar : spec.scalars)
    scalars.emplace_back(scalar.value, schema::Symbol(scalar.symbol));
  return schema::CreateKernelDispatch(builder, spec.kernel, builder.CreateVector(operands),
                                      builder.CreateVectorOfStructs(scalars), builder.CreateString(spec.label))
      .Union();
}

auto make_dispatches(FlatBufferBuilder &builder, const std::vector<DispatchSpec> &specs) {
  std::vector<Offset<schema::DispatchEntry>> entries;
  for (const DispatchSpec &dispatch : specs) {
    Offset<void> op = make_op(builder, dispatch);
    entries.push_back(schema::CreateDispatchEntry(builder, schema::Dispatch(dispatch.type), op));
  }
  return builder.CreateVector(entries);
}

Offset<schema::Program> make_program(FlatBufferBuilder &builder, const ProgramSpec &spec) {
  Offset<schema::Candidates> candidates;
  if (spec.candidates)
    candidates = schema::CreateCandidates(builder, make_dispatches(builder, spec.candidates->dispatches),
                                          spec.candidates->buffer, spec.candidates->count);
  auto entries = make_dispatches(builder, spec.dispatches);
  auto name = builder.CreateString(spec.name);
  auto targets = spec.targets.empty() ? 0 : builder.CreateVectorOfStrings(spec.targets);
  auto activations = spec.activations.empty() ? 0 : builder.CreateString(spec.activations);
  auto arena = spec.arena ? make_size(builder, *spec.arena) : 0;
  return schema::CreateProgram(builder, name, entries, spec.logits, spec.hidden, spec.hidden_width, candidates, targets,
                               activations, arena);
}

Offset<schema::Model> make_model(FlatBufferBuilder &builder, const ModelSpec &spec) {
  auto ends = builder.CreateVector(spec.end_ids);
  auto generation = schema::CreateGeneration(builder, true, spec.temperature, spec.top_p, spec.top_k, spec.min_p,
                                             spec.repetition_penalty, ends);
  auto name = builder.CreateString("tiny"), none = builder.CreateString("none"), f32 = builder.CreateString("f32");
  schema::ModelBuilder model(builder);
  model.add_name(name);
  model.add_family(name);
  model.add_vocabulary(spec.vocabulary);
  model.add_max_positions(spec.max_positions);
  model.add_positions_are_bounded(spec.positions_are_bounded);
  model.add_quantization(none);
  model.add_dtype(f32);
  model.add_kv_cache_dtype(f32);
  model.add_begin_id(spec.begin_id);
  model.add_pad_id(spec.pad_id);
  model.add_generation(generation);
  model.add_default_max_model_len(spec.default_max_model_len);
  model.add_default_max_num_batched_tokens(spec.default_max_num_batched_tokens);
  model.add_default_max_num_seqs(spec.default_max_num_seqs);
  return model.Finish();
}

Offset<schema::Golden> make_golden(FlatBufferBuilder &builder, const GoldenSpec &spec) {
  std::vector<schema::GoldenBytes> operands;
  for (auto [offset, bytes] : spec.operands)
    operands.emplace_back(offset, bytes);
  std::vector<schema::GoldenResult> results;
  for (const GoldenResultSpec &result : spec.results)
    results.emplace_back(result.operand, result.bound, result.at, schema::GoldenBytes(result.offset, result.bytes));
  auto scalars = builder.CreateVector(spec.scalars);
  auto places = builder.CreateVectorOfStructs(operands);
  return schema::CreateGolden(builder, spec.kernel, scalars, places, builder.CreateVectorOfStructs(results));
}

// The tables that are lists of a description each.
template <typename T, typename Spec, typename Make>
auto make_vector(FlatBufferBuilder &builder, const std::vector<Spec> &specs, Make make) {
  std::vector<Offset<T>> offsets;
  for (const Spec &spec : specs)
    offsets.push_back(make(spec));
  return builder.CreateVector(offsets);
}

Offset<schema::Weight> make_weight(FlatBufferBuilder &builder, const WeightSpec &weight) {
  std::vector<Offset<schema::SourceRows>> sources;
  for (const SourceSpec &one : weight.sources)
    sources.push_back(schema::CreateSourceRowsDirect(builder, one.tensor.c_str(), one.first, one.count,
                                                     one.tensor_columns, one.transpose, one.zeros, one.ones, one.scale,
                                                     one.add));
  if (sources.empty() && weight.values.empty())
    sources.push_back(schema::CreateSourceRowsDirect(builder, weight.name.c_str(), weight.first_source_row,
                                                     weight.source_rows));
  return schema::CreateWeightDirect(builder, weight.name.c_str(), weight.segment, weight.offset, weight.bytes,
                                    weight.rows, weight.columns, weight.scheme.c_str(), weight.element.c_str(),
                                    weight.layout.c_str(), &sources, weight.interleave,
                                    weight.rounded.empty() ? nullptr : weight.rounded.c_str(),
                                    weight.values.empty() ? nullptr : &weight.values);
}

void make_metadata(FlatBufferBuilder &builder, const ArtifactSpec &spec, const std::vector<uint64_t> &offsets) {
  size_t next = 0;
  auto segments = make_vector<schema::Segment>(builder, spec.segments, [&](const SegmentSpec &segment) {
    return make_segment(builder, segment, offsets[next++]);
  });
  auto weights = make_vector<schema::Weight>(builder, spec.weights, [&](const WeightSpec &weight) {
    return make_weight(builder, weight);
  });
  auto buffers = make_vector<schema::Buffer>(builder, spec.buffers, [&](const BufferSpec &buffer) {
    return schema::CreateBuffer(builder, builder.CreateString(buffer.name), builder.CreateString(buffer.element),
                                make_size(builder, buffer.offset), make_size(builder, buffer.bytes));
  });
  auto groups = make_vector<schema::CacheGroup>(builder, spec.groups, [&](const GroupSpec &group) {
    return schema::CreateCacheGroupDirect(builder, group.name.c_str(), schema::CacheKind(group.kind), group.window,
                                          group.page_tokens, group.layers, group.bytes_per_page_layer, "f32", "page");
  });
  auto kernels = make_vector<schema::Kernel>(builder, spec.kernels, [&](const KernelSpec &kernel) {
    return schema::CreateKernel(builder, builder.CreateString(kernel.name), builder.CreateVector(kernel.id));
  });
  auto programs = make_vector<schema::Program>(
      builder, spec.programs, [&](const ProgramSpec &program) { return make_program(builder, program); });
  auto goldens = make_vector<schema::Golden>(
      builder, spec.goldens, [&](const GoldenSpec &golden) { return make_golden(builder, golden); });
  auto golden_bytes = builder.CreateVector(spec.golden_bytes);
  auto model = make_model(builder, spec.model);
  auto arena = make_size(builder, spec.arena);
  auto producer = builder.CreateString("artifact_builder");
  Offset<schema::RandomWeights> random;
  if (spec.random)
    random = schema::CreateRandomWeightsDirect(builder, spec.random->seed, spec.random->deviation,
                                               spec.random->element.c_str());
  schema::ArtifactBuilder artifact(builder);
  artifact.add_producer(producer);
  artifact.add_model(model);
  artifact.add_arena(arena);
  artifact.add_segments(segments);
  artifact.add_weights(weights);
  artifact.add_buffers(buffers);
  artifact.add_cache_groups(groups);
  artifact.add_kernels(kernels);
  artifact.add_programs(programs);
  artifact.add_goldens(goldens);
  artifact.add_golden_bytes(golden_bytes);
  if (spec.random)
    artifact.add_random(random);
  schema::FinishArtifactBuffer(builder, artifact.Finish());
}

uint64_t align_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

std::vector<std::byte> build_code(const CodeSpec &spec) {
  Tables tables;
  for (const VariantSpec &variant : spec.variants)
    add_variant(tables, variant);
  llmrt_code_header header{};
  std::memcpy(header.magic, LLMRT_CODE_MAGIC, sizeof header.magic);
  header.abi_version = LLMRT_ABI_VERSION;
  header.architecture = spec.architecture;
  header.kernel_count = uint32_t(tables.entries.size());
  header.operand_count = uint32_t(tables.operands.size());
  header.constraint_count = uint32_t(tables.constraints.size());
  header.term_count = uint32_t(tables.terms.size());
  header.features = spec.features;
  uint64_t end = sizeof header + tables.entries.size() * sizeof(llmrt_kernel_entry) +
                 tables.operands.size() * sizeof(llmrt_operand) +
                 tables.constraints.size() * sizeof(llmrt_constraint) + tables.terms.size() * sizeof(llmrt_term);
  header.code_offset = uint32_t(align_up(end, 64));
  std::vector<std::byte> code;
  for (size_t i = 0; i < tables.entries.size(); ++i) {
    code.resize(align_up(code.size(), 16));
    tables.entries[i].entry = uint32_t(header.code_offset + code.size());
    append(code, spec.variants[i].code);
  }
  header.code_bytes = uint32_t(code.size());
  std::vector<std::byte> out;
  append(out, std::vector<llmrt_code_header>{header});
  append(out, tables.entries);
  append(out, tables.operands);
  append(out, tables.constraints);
  append(out, tables.terms);
  out.resize(header.code_offset);
  append(out, code);
  return out;
}

std::vector<std::byte> build_artifact(const ArtifactSpec &spec) {
  // Offsets have fixed widths and stay zero or not, so a first pass finds the metadata's length.
  std::vector<uint64_t> offsets(spec.segments.size(), kSegmentAlignment);
  for (size_t i = 0; i < offsets.size(); ++i)
    if (spec.segments[i].kind == int(schema::SegmentKind::RandomWeights))
      offsets[i] = 0;
  FlatBufferBuilder sizes;
  make_metadata(sizes, spec, offsets);
  uint64_t end = kPrefixBytes + sizes.GetSize();
  for (size_t i = 0; i < offsets.size(); ++i) {
    if (offsets[i] == 0)
      continue;
    offsets[i] = align_up(end, kSegmentAlignment);
    end = offsets[i] + spec.segments[i].bytes.size();
  }
  FlatBufferBuilder builder;
  make_metadata(builder, spec, offsets);
  std::span<const std::byte> metadata = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  Prefix prefix;
  prefix.file_bytes = end;
  prefix.metadata_bytes = metadata.size();
  prefix.metadata_sha256 = sha256(metadata);
  std::vector<std::byte> file(end);
  auto head = serialize_prefix(prefix);
  std::copy(head.begin(), head.end(), file.begin());
  std::copy(metadata.begin(), metadata.end(), file.begin() + kPrefixBytes);
  for (size_t i = 0; i < offsets.size(); ++i)
    if (offsets[i] != 0)
      std::copy(spec.segments[i].bytes.begin(), spec.segments[i].bytes.end(), file.begin() + std::ptrdiff_t(offsets[i]));
  return file;
}

namespace {

// A hash and its place in the file. All are found before the first is written: in a damaged file a hash may lie on
// top of a table.
struct Patch {
  std::byte *where;
  Sha256Digest digest;
};

void find_patches(const schema::Segment &segment, std::span<std::byte> file, std::vector<Patch> &patches) {
  if (segment.kind() == schema::SegmentKind::RandomWeights || segment.offset() > file.size() ||
      segment.bytes() > file.size() - segment.offset())
    return;
  std::span<const std::byte> bytes = file.subspan(segment.offset(), segment.bytes());
  auto add = [&](const schema::Sha256 *hash, std::span<const std::byte> hashed) {
    auto at = reinterpret_cast<const std::byte *>(hash) - file.data();
    patches.push_back({file.data() + at, sha256(hashed)});
  };
  if (segment.sha256())
    add(segment.sha256(), bytes);
  for (uint32_t i = 0; i < count_of(segment.chunk_sha256()) && i * kHashChunk < bytes.size(); ++i)
    add(segment.chunk_sha256()->Get(i),
        bytes.subspan(i * kHashChunk, std::min<size_t>(kHashChunk, bytes.size() - i * kHashChunk)));
}

} // namespace

bool fix_hashes(std::vector<std::byte> &file) {
  if (file.size() < kPrefixBytes)
    return false;
  Prefix prefix;
  std::memcpy(&prefix, file.data(), sizeof prefix);
  prefix.file_bytes = file.size();
  if (prefix.metadata_offset > file.size() || prefix.metadata_bytes > file.size() - prefix.metadata_offset)
    return false;
  std::span<const std::byte> metadata =
      std::span<const std::byte>(file).subspan(prefix.metadata_offset, prefix.metadata_bytes);
  std::vector<Patch> patches;
  if (const schema::Artifact *meta = verify_flatbuffer(metadata))
    for (uint32_t i = 0; i < count_of(meta->segments()); ++i)
      find_patches(*meta->segments()->Get(i), file, patches);
  for (const Patch &patch : patches)
    std::memcpy(patch.where, patch.digest.data(), patch.digest.size());
  prefix.metadata_sha256 = sha256(metadata);
  std::memcpy(file.data(), &prefix, sizeof prefix);
  return true;
}

} // namespace llmrt::testing
