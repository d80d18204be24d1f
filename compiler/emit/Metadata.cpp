#include "compiler/emit/Metadata.h"

#include "codegen/lowering/Lowering.h"
#include "compiler/emit/WeightPacker.h"
#include "runtime/artifact/prefix.h"
#include "llvm/ADT/StringMap.h"

#include <cstring>

namespace llmc {
namespace {

namespace schema = llmrt::schema;
using flatbuffers::Offset;

// Nothing in it depends on addresses, hash seeds or the machine: the same contents give the same bytes.
class MetadataBuilder {
public:
  MetadataBuilder(const ArtifactContents &contents, const FileLayout &layout)
      : in(contents), module(contents.module), layout(layout), steps(module.getOps<exec::ProgramOp>()) {
    indexNames();
  }

  llvm::Expected<flatbuffers::DetachedBuffer> build() {
    exec::Size arena;
    for (exec::ProgramOp step : steps) {
      if (!arenaOf(step)) return llvm::createStringError("a program of the module has no planned arena");
      arena = arena.orMore(exec::Size::fromAttr(arenaOf(step)));
    }
    if (steps.empty()) return llvm::createStringError("the module has no program");
    auto tokenizer = in.tokenizer ? in.tokenizer(fbb) : TokenizerOffset();
    auto model = buildModel();
    auto segments = buildSegments();
    auto weights = buildWeights();
    if (!weights) return weights.takeError();
    auto random = buildRandom();
    auto buffers = buildBuffers();
    auto groups = buildCacheGroups();
    auto kernels = buildKernels();
    auto programs = buildPrograms();
    auto goldens = buildGoldens();
    auto goldenBytes = fbb.CreateVector(reinterpret_cast<const uint8_t *>(in.goldens.bytes.data()), in.goldens.bytes.size());
    auto templates = buildTemplates();
    auto special = fbb.CreateString(in.specialTokensJson);
    auto producer = fbb.CreateString(in.producer);
    auto arenaSize = buildSize(arena);
    schema::ArtifactBuilder artifact(fbb);
    artifact.add_producer(producer);
    artifact.add_model(model);
    artifact.add_arena(arenaSize);
    artifact.add_segments(segments);
    artifact.add_weights(*weights);
    artifact.add_buffers(buffers);
    artifact.add_cache_groups(groups);
    artifact.add_kernels(kernels);
    artifact.add_programs(programs);
    if (!tokenizer.IsNull()) artifact.add_tokenizer(tokenizer);
    artifact.add_chat_templates(templates);
    artifact.add_special_tokens_json(special);
    artifact.add_goldens(goldens);
    artifact.add_golden_bytes(goldenBytes);
    if (in.random) artifact.add_random(random);
    schema::FinishArtifactBuffer(fbb, artifact.Finish());
    return fbb.Release();
  }

private:
  template <typename Op> void index(llvm::StringMap<uint32_t> &names) {
    uint32_t next = 0;
    for (auto op : module.template getOps<Op>()) names[op.getSymName()] = next++;
  }
  void indexNames() {
    index<llm::WeightOp>(weightIndex);
    index<exec::BufferOp>(bufferIndex);
    index<exec::KernelOp>(kernelIndex);
    for (auto [number, name] : llvm::enumerate(exec::getInputNames())) inputIndex[name] = uint32_t(number);
  }

  Offset<schema::Size> buildSize(const exec::Size &size) {
    std::vector<schema::Term> terms;
    for (const exec::SizeTerm &term : size.getTerms())
      terms.emplace_back(term.coefficient, schema::Symbol(term.first), schema::Symbol(term.second));
    return schema::CreateSize(fbb, fbb.CreateVectorOfStructs(terms));
  }

  Offset<schema::Model> buildModel() {
    const ModelInfo &m = in.model;
    auto end = fbb.CreateVector(m.generation.endIds);
    auto generation = schema::CreateGeneration(fbb, m.generation.doSample, m.generation.temperature, m.generation.topP,
                                               m.generation.topK, m.generation.minP, m.generation.repetitionPenalty, end);
    auto name = fbb.CreateString(m.name), family = fbb.CreateString(m.family), dtype = fbb.CreateString(m.dtype);
    auto quantization = fbb.CreateString(m.quantization), activations = fbb.CreateString(m.activations);
    auto kv = fbb.CreateString(m.kvCacheDtype);
    schema::ModelBuilder model(fbb);
    model.add_name(name);
    model.add_family(family);
    model.add_vocabulary(m.vocabulary);
    model.add_max_positions(m.maxPositions);
    model.add_positions_are_bounded(m.positionsAreBounded);
    model.add_uses_rope_length(m.usesRopeLength);
    model.add_parameters(m.parameters);
    model.add_dtype(dtype);
    model.add_quantization(quantization);
    model.add_activations(activations);
    model.add_kv_cache_dtype(kv);
    model.add_begin_id(m.beginId);
    model.add_pad_id(m.padId);
    model.add_generation(generation);
    model.add_default_max_model_len(m.defaultMaxModelLen);
    model.add_default_max_num_batched_tokens(m.defaultMaxNumBatchedTokens);
    model.add_default_max_num_seqs(m.defaultMaxNumSeqs);
    return model.Finish();
  }

  Offset<schema::Segment> buildSegment(llvm::StringRef name, schema::SegmentKind kind, const SegmentPlace &place,
                                       llvm::StringRef target, llvm::StringRef segmentLayout, size_t chunks) {
    auto nameOffset = fbb.CreateString(name.str()), layoutOffset = fbb.CreateString(segmentLayout.str());
    auto targetOffset = fbb.CreateString(target.str());
    auto chunkHashes = fbb.CreateVectorOfStructs(std::vector<schema::Sha256>(chunks));
    schema::Sha256 zero;
    schema::SegmentBuilder segment(fbb);
    segment.add_name(nameOffset);
    segment.add_kind(kind);
    segment.add_offset(place.offset);
    segment.add_bytes(place.bytes);
    segment.add_sha256(&zero);
    if (kind != schema::SegmentKind::Code) segment.add_chunk_sha256(chunkHashes);
    segment.add_layout(layoutOffset);
    segment.add_target(targetOffset);
    return segment.Finish();
  }

  static std::string segmentName(const codegen::CodeSegment &code) {
    return "code." + (code.target == "cpu" ? "" : code.target + ".") + code.tier;
  }

  Offset<flatbuffers::Vector<Offset<schema::Segment>>> buildSegments() {
    std::vector<Offset<schema::Segment>> segments;
    for (const auto &[code, place] : llvm::zip_equal(in.code, layout.code))
      segments.push_back(
          buildSegment(segmentName(code), schema::SegmentKind::Code, place, code.target, code.tier, 0));
    size_t chunks = (layout.weights.bytes + llmrt::kHashChunk - 1) / llmrt::kHashChunk;
    auto kind = in.random ? schema::SegmentKind::RandomWeights : schema::SegmentKind::Weights;
    segments.push_back(buildSegment("weights", kind, layout.weights, "", "packed", chunks));
    return fbb.CreateVector(segments);
  }

  Offset<schema::SourceRows> buildSource(llm::SourceAttr source) {
    auto tensor = fbb.CreateString(source.getTensor().str());
    schema::SourceRowsBuilder rows(fbb);
    rows.add_tensor(tensor);
    rows.add_first_row(uint64_t(source.getFirst()));
    rows.add_row_count(uint64_t(source.getCount()));
    if (!in.random) return rows.Finish();
    RandomWeights::Tensor made = in.random->tensors.lookup(source.getTensor());
    rows.add_tensor_columns(made.columns);
    rows.add_transpose(source.getTranspose());
    rows.add_zeros(source.getZeros());
    rows.add_ones(made.ones);
    rows.add_scale(double(source.getScale()));
    rows.add_add(double(source.getAdd()));
    return rows.Finish();
  }

  llvm::Expected<Offset<schema::Weight>> buildWeight(const PlannedWeight &weight) {
    std::vector<Offset<schema::SourceRows>> sources;
    for (auto source : weight.op.getSources().getAsRange<llm::SourceAttr>()) sources.push_back(buildSource(source));
    auto sourceVector = fbb.CreateVector(sources);
    auto name = fbb.CreateString(weight.name), scheme = fbb.CreateString(weight.scheme ? weight.scheme->name : "none");
    auto element = fbb.CreateString(weight.scheme ? "" : weight.element), how = fbb.CreateString(weight.layout);
    Offset<flatbuffers::String> rounded;
    Offset<flatbuffers::Vector<float>> values;
    if (in.random && weight.isVector()) rounded = fbb.CreateString(weight.form.element);
    if (in.random && weight.op.getComputed()) {
      auto computed = computedValues(weight);
      if (!computed) return computed.takeError();
      values = fbb.CreateVector(*computed);
    }
    uint32_t interleave = in.random && weight.form.interleaved ? uint32_t(packing::kBlockRows) : 0;
    return schema::CreateWeight(fbb, name, uint32_t(in.code.size()), weight.offset, weight.bytes, uint64_t(weight.rows),
                                uint64_t(weight.columns), scheme, element, how, sourceVector, interleave, rounded, values);
  }

  llvm::Expected<Offset<flatbuffers::Vector<Offset<schema::Weight>>>> buildWeights() {
    std::vector<Offset<schema::Weight>> weights;
    for (const PlannedWeight &weight : in.weights.weights) {
      auto built = buildWeight(weight);
      if (!built) return built.takeError();
      weights.push_back(*built);
    }
    return fbb.CreateVector(weights);
  }

  Offset<schema::RandomWeights> buildRandom() {
    if (!in.random) return {};
    auto element = fbb.CreateString(in.random->element);
    return schema::CreateRandomWeights(fbb, in.random->seed, in.random->deviation, element);
  }

  Offset<flatbuffers::Vector<Offset<schema::Buffer>>> buildBuffers() {
    std::vector<Offset<schema::Buffer>> buffers;
    for (auto buffer : module.getOps<exec::BufferOp>()) {
      auto name = fbb.CreateString(buffer.getSymName().str()), element = fbb.CreateString(buffer.getElement().str());
      auto offset = buildSize(buffer.getOffset() ? exec::Size::fromAttr(*buffer.getOffset()) : exec::Size());
      auto bytes = buildSize(exec::Size::fromAttr(buffer.getBytes()));
      buffers.push_back(schema::CreateBuffer(fbb, name, element, offset, bytes));
    }
    return fbb.CreateVector(buffers);
  }

  Offset<flatbuffers::Vector<Offset<schema::CacheGroup>>> buildCacheGroups() {
    std::vector<llm::CacheGroupOp> groups(module.getOps<llm::CacheGroupOp>().begin(),
                                          module.getOps<llm::CacheGroupOp>().end());
    llvm::sort(groups, [](auto a, auto b) { return a.getIndex() < b.getIndex(); });
    std::vector<Offset<schema::CacheGroup>> offsets;
    for (llm::CacheGroupOp group : groups) {
      mlir::Type element = group.getElement();
      int64_t bytes = pageBytes(group.getKvHeads(), group.getKeyDim(), group.getValueDim(), group.getPageTokens(), element);
      int64_t window = group.getWindow();
      auto name = fbb.CreateString(group.getSymName().str()), how = fbb.CreateString("page");
      auto elementName = fbb.CreateString(cacheElementName(element).str());
      auto kind = window > 0 ? schema::CacheKind::Window : schema::CacheKind::AllTokens;
      offsets.push_back(schema::CreateCacheGroup(fbb, name, kind, window, uint32_t(group.getPageTokens()),
                                                 uint32_t(group.getLayers()), uint64_t(bytes), elementName, how));
    }
    return fbb.CreateVector(offsets);
  }

  Offset<flatbuffers::Vector<Offset<schema::Kernel>>> buildKernels() {
    std::vector<Offset<schema::Kernel>> kernels;
    for (const KernelName &kernel : in.kernels) {
      auto name = fbb.CreateString(kernel.name);
      kernels.push_back(schema::CreateKernel(fbb, name, fbb.CreateVector(kernel.id.data(), kernel.id.size())));
    }
    return fbb.CreateVector(kernels);
  }

  Offset<flatbuffers::Vector<Offset<schema::Golden>>> buildGoldens() {
    std::vector<Offset<schema::Golden>> goldens;
    for (const GoldenEntry &entry : in.goldens.entries) {
      auto scalars = fbb.CreateVector(entry.scalars);
      auto operands = fbb.CreateVectorOfStructs(entry.operands);
      goldens.push_back(
          schema::CreateGolden(fbb, entry.kernel, scalars, operands, fbb.CreateVectorOfStructs(entry.results)));
    }
    return fbb.CreateVector(goldens);
  }

  Offset<schema::Operand> buildOperand(exec::OperandAttr operand) {
    llvm::StringRef kind = operand.getKind(), name = operand.getName();
    uint32_t group = uint32_t(operand.getGroup());
    auto offset = buildSize(exec::Size::fromAttr(operand.getOffset()));
    if (kind == "buffer")
      return schema::CreateOperand(fbb, schema::OperandKind::Buffer, bufferIndex.lookup(name), 0, offset);
    if (kind == "weight")
      return schema::CreateOperand(fbb, schema::OperandKind::Weight, weightIndex.lookup(name), 0, offset);
    if (kind == "input")
      return schema::CreateOperand(fbb, schema::OperandKind::Input, inputIndex.lookup(name), group, offset);
    return schema::CreateOperand(fbb, schema::OperandKind::Cache, group, 0, offset);
  }

  Offset<schema::DispatchEntry> buildDispatch(exec::DispatchOp dispatch) {
    std::vector<Offset<schema::Operand>> operands;
    for (auto operand : dispatch.getOperands().getAsRange<exec::OperandAttr>())
      operands.push_back(buildOperand(operand));
    std::vector<schema::Scalar> scalars;
    for (auto scalar : dispatch.getScalars().getAsRange<exec::ScalarAttr>())
      scalars.emplace_back(scalar.getValue(), schema::Symbol(scalar.getSymbol()));
    auto operandVector = fbb.CreateVector(operands);
    auto scalarVector = fbb.CreateVectorOfStructs(scalars);
    auto label = fbb.CreateString(dispatch.getLabel().value_or("").str());
    auto kernel = schema::CreateKernelDispatch(fbb, kernelIndex.lookup(dispatch.getKernel()), operandVector,
                                               scalarVector, label);
    return schema::CreateDispatchEntry(fbb, schema::Dispatch::KernelDispatch, kernel.Union());
  }

  static exec::SizeAttr arenaOf(exec::ProgramOp step) { return step->getAttrOfType<exec::SizeAttr>("arena"); }

  // All of them are steps, each for its targets.
  Offset<flatbuffers::Vector<Offset<schema::Program>>> buildPrograms() {
    std::vector<Offset<schema::Program>> programs;
    for (exec::ProgramOp step : steps) programs.push_back(buildProgram(step));
    return fbb.CreateVector(programs);
  }

  Offset<schema::Program> buildProgram(exec::ProgramOp program) {
    std::vector<Offset<schema::DispatchEntry>> dispatches;
    std::vector<Offset<schema::DispatchEntry>> forGpus;
    for (auto dispatch : program.getBody().getOps<exec::DispatchOp>()) {
      auto kernel = module.lookupSymbol<exec::KernelOp>(dispatch.getKernel());
      (exec::isForGpusAlone(kernel) ? forGpus : dispatches).push_back(buildDispatch(dispatch));
    }
    Offset<schema::Candidates> candidates;
    if (program.getCandidates())
      candidates = schema::CreateCandidates(fbb, fbb.CreateVector(forGpus), bufferIndex.lookup(*program.getCandidates()),
                                            uint32_t(*program.getCandidateCount()));
    auto name = fbb.CreateString("step");
    int32_t hidden = program.getHidden() ? int32_t(bufferIndex.lookup(*program.getHidden())) : -1;
    auto dispatchVector = fbb.CreateVector(dispatches);
    Offset<flatbuffers::Vector<Offset<flatbuffers::String>>> targets;
    Offset<flatbuffers::String> activations;
    Offset<schema::Size> arena;
    if (program.getTargets()) {
      std::vector<std::string> names;
      for (auto target : program.getTargets()->getAsRange<mlir::StringAttr>()) names.push_back(target.str());
      targets = fbb.CreateVectorOfStrings(names);
      arena = buildSize(exec::Size::fromAttr(arenaOf(program)));
    }
    if (program.getActivations()) activations = fbb.CreateString(program.getActivations()->str());
    return schema::CreateProgram(fbb, name, dispatchVector, bufferIndex.lookup(program.getLogits()), hidden,
                                 uint32_t(program.getHiddenWidth().value_or(0)), candidates, targets, activations, arena);
  }

  Offset<flatbuffers::Vector<Offset<schema::ChatTemplate>>> buildTemplates() {
    std::vector<Offset<schema::ChatTemplate>> templates;
    for (const auto &[name, source] : in.chatTemplates) {
      auto nameOffset = fbb.CreateString(name), sourceOffset = fbb.CreateString(source);
      templates.push_back(schema::CreateChatTemplate(fbb, nameOffset, sourceOffset));
    }
    return fbb.CreateVector(templates);
  }

  const ArtifactContents &in;
  mlir::ModuleOp module;
  const FileLayout &layout;
  llvm::SmallVector<exec::ProgramOp> steps;
  flatbuffers::FlatBufferBuilder fbb{1 << 20};
  llvm::StringMap<uint32_t> weightIndex, bufferIndex, kernelIndex, inputIndex;
};

void setHash(const schema::Sha256 *place, const llmrt::Sha256Digest &digest) {
  std::memcpy(const_cast<schema::Sha256 *>(place), digest.data(), digest.size());
}

} // namespace

llvm::Expected<flatbuffers::DetachedBuffer> buildMetadata(const ArtifactContents &contents, const FileLayout &layout) {
  return MetadataBuilder(contents, layout).build();
}

void setHashes(flatbuffers::DetachedBuffer &metadata, llvm::ArrayRef<llmrt::Sha256Digest> code,
               const SegmentHashes &weights) {
  const auto *segments = schema::GetArtifact(metadata.data())->segments();
  for (size_t i = 0; i < code.size(); ++i) setHash(segments->Get(uint32_t(i))->sha256(), code[i]);
  const schema::Segment *segment = segments->Get(uint32_t(code.size()));
  setHash(segment->sha256(), weights.whole);
  for (size_t i = 0; i < weights.chunks.size(); ++i) setHash(segment->chunk_sha256()->Get(uint32_t(i)), weights.chunks[i]);
}

} // namespace llmc
