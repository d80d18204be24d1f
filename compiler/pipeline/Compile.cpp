#include "compiler/pipeline/Compile.h"

#include "codegen/lowering/Lowering.h"
#include "compiler/emit/ArtifactWriter.h"
#include "compiler/emit/KernelLibrary.h"
#include "compiler/import/Config.h"
#include "compiler/import/tokenizer/Tokenizer.h"
#include "compiler/pipeline/Describe.h"
#include "compiler/pipeline/Kernels.h"
#include "models/Registry.h"
#include "passes/Passes.h"
#include "runtime/base/text.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"

namespace llmc {

llvm::ArrayRef<llvm::StringRef> phaseNames() {
  static constexpr llvm::StringRef names[] = {"import", "fused", "quantized", "paged", "exec", "kernels", "artifact"};
  return names;
}

std::optional<Phase> parsePhase(llvm::StringRef name) {
  const auto *found = llvm::find(phaseNames(), name);
  if (found == phaseNames().end()) return std::nullopt;
  return Phase(found - phaseNames().begin());
}

namespace {

std::string elementOf(llvm::StringRef dtype) {
  return dtype == "bfloat16" ? "bf16" : dtype == "float16" ? "f16" : dtype == "float32" ? "f32" : "";
}

// What made-up weights follow of the config.
struct RandomSpread {
  double range;
  std::string element;
};

RandomSpread spreadOf(const models::ImportedModel &model) {
  mlir::ModuleOp module = *const_cast<models::ImportedModel &>(model).module;
  return {module->getAttrOfType<mlir::FloatAttr>("llm.initializer_range").getValueAsDouble(),
          elementOf(module->getAttrOfType<mlir::StringAttr>("llm.dtype").getValue())};
}

RandomWeights randomWeights(const models::ImportedModel &model, uint64_t seed) {
  RandomSpread spread = spreadOf(model);
  RandomWeights random{seed, float(spread.range), spread.element, {}};
  for (const models::TensorSpec &spec : model.tensors) {
    RandomWeights::Tensor &tensor = random.tensors[spec.name];
    for (int64_t size : llvm::ArrayRef(spec.shape).drop_front()) tensor.columns *= uint64_t(size);
    tensor.ones = spec.role == models::TensorRole::NormWeight;
  }
  return random;
}

class Compiler {
public:
  Compiler(const CompileOptions &options, Progress &progress, llvm::raw_ostream &ir)
      : options(options), progress(progress), ir(ir), context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED) {
    context.getDiagEngine().registerHandler([this](mlir::Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
        diagnostics += (diagnostics.empty() ? "" : "\n") + located(diagnostic);
    });
  }

  // All phases on one screen.
  llvm::Expected<CompileResult> run() {
    if (auto error = begin(Phase::Import, [&] { return import(); })) return std::move(error);
    if (stopped()) return CompileResult();
    if (auto error = begin(Phase::Fused, [&] { return passes(module(), [](auto &m) { buildFusionPipeline(m); }); }))
      return std::move(error);
    if (stopped()) return CompileResult();
    if (auto error = begin(Phase::Quantized, [&] { return quantize(); })) return std::move(error);
    if (stopped()) return CompileResult();
    if (auto error = begin(Phase::Paged, [&] { return page(); })) return std::move(error);
    if (stopped()) return CompileResult();
    if (auto error = begin(Phase::Exec, [&] { return lower(); })) return std::move(error);
    if (stopped()) return CompileResult();
    if (auto error = begin(Phase::Kernels, [&] { return buildKernels(); })) return std::move(error);
    if (stopped()) return CompileResult();
    CompileResult result;
    if (auto error = begin(Phase::Artifact, [&] { return write(result); })) return std::move(error);
    return result;
  }

private:
  static mlir::DialectRegistry makeRegistry() {
    mlir::DialectRegistry registry;
    exec::registerDialects(registry);
    return registry;
  }
  static std::string located(mlir::Diagnostic &diagnostic) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    if (!llvm::isa<mlir::UnknownLoc>(diagnostic.getLocation())) stream << diagnostic.getLocation() << ": ";
    stream << diagnostic;
    return text;
  }

  mlir::ModuleOp module() { return *model.module; }

  template <typename Body> llvm::Error begin(Phase next, Body body) {
    phase = next;
    progress.phase(phaseNames()[size_t(phase)]);
    return body();
  }

  // Prints what the phase left if the compile ends here.
  bool stopped() {
    if (phase != options.stop) return false;
    if (phase == Phase::Kernels) printKernels(module(), contents.code, ir);
    else module()->print(ir);
    if (forGpus) {
      ir << "\n// -----\n\n";
      (*forGpus)->print(ir);
    }
    return true;
  }

  // A diagnostic of MLIR: a mistake in a pass, or a model that no kernel can run.
  llvm::Error failed() {
    std::string text = diagnostics.empty() ? "failed without saying why" : diagnostics;
    return llvm::createStringError("phase " + phaseNames()[size_t(phase)] + ": " + text);
  }

  llvm::Error import() {
    auto opened = openCheckpoint(options.model, !options.randomSeed);
    if (!opened) return opened.takeError();
    checkpoint = std::move(*opened);
    auto imported = models::importModel(context, checkpoint.config);
    if (!imported) return imported.takeError();
    model = std::move(*imported);
    if (mlir::failed(mlir::verify(module()))) return failed();
    if (options.randomSeed) checkpoint.tensors = randomTensorsFor(model, *options.randomSeed);
    return checkTensors(model.tensors, *checkpoint.tensors);
  }

  template <typename Build> llvm::Error passes(mlir::ModuleOp on, Build build) {
    mlir::PassManager manager(&context);
    manager.enableVerifier(true);
    build(manager);
    return mlir::failed(manager.run(on)) ? failed() : llvm::Error::success();
  }

  // The CPU and GPUs part ways where activations are chosen, and meet again as two programs of one module.
  template <typename Body> llvm::Error forEachTarget(Body body) {
    if (llvm::Error error = body(module(), options.hasGpu() && !forGpus)) return error;
    return forGpus ? body(*forGpus, true) : llvm::Error::success();
  }

  llvm::Error quantize() {
    if (options.hasBoth()) forGpus = llvm::cast<mlir::ModuleOp>(module()->clone());
    return forEachTarget([&](mlir::ModuleOp on, bool gpus) {
      QuantizationOptions quantization{options.quantization, gpus ? options.gpuActivations : options.activations,
                                       elementOf(options.dtype)};
      return passes(on, [&](auto &m) { buildQuantizationPipeline(m, quantization); });
    });
  }

  llvm::Error page() {
    std::string kv = effectiveKvElement(options, module());
    return forEachTarget(
        [&](mlir::ModuleOp on, bool) { return passes(on, [&](auto &m) { buildPagingPipeline(m, kv); }); });
  }

  llvm::Error lower() {
    llvm::Error error = forEachTarget([&](mlir::ModuleOp on, bool gpus) { return lower(on, gpus); });
    if (error || !forGpus) return error;
    bool merged = mlir::succeeded(mergePrograms(module(), *forGpus)) && mlir::succeeded(mlir::verify(module()));
    forGpus = nullptr;
    return merged ? llvm::Error::success() : failed();
  }

  llvm::Error lower(mlir::ModuleOp on, bool gpus) {
    LoweringOptions lowering;
    lowering.headsInLinear = !gpus;
    lowering.candidates = gpus;
    if (gpus && !options.cudaTiers.empty()) lowering.maxOperandBytes = codegen::kCudaOperandBytes;
    if (gpus && options.vulkan) lowering.maxOperandBytes = codegen::kVulkanOperandBytes;
    if (mlir::failed(lowerToExec(on, lowering)) || mlir::failed(planMemory(on)) || mlir::failed(mlir::verify(on)))
      return failed();
    if (!forGpus) return llvm::Error::success();
    auto program = on.lookupSymbol<exec::ProgramOp>("step");
    mlir::Builder builder(&context);
    program.setTargetsAttr(builder.getStrArrayAttr(gpus ? gpuTargets() : llvm::SmallVector<llvm::StringRef>{"cpu"}));
    program.setActivations(effectiveActivations(options, gpus));
    return llvm::Error::success();
  }

  llvm::SmallVector<llvm::StringRef> gpuTargets() const {
    llvm::SmallVector<llvm::StringRef> targets;
    if (!options.cudaTiers.empty()) targets.push_back("cuda");
    if (options.vulkan) targets.push_back("vulkan");
    return targets;
  }

  llvm::Error buildKernels() {
    auto code = buildCode(module(), options, progress);
    if (!code) return code.takeError();
    contents.code = std::move(*code);
    contents.kernels = kernelNames(module());
    llvm::SmallVector<exec::KernelOp> ofGpus;
    if (options.hasGpu()) ofGpus = exec::getKernelsFor(module(), gpuTargets().front()); // all have one program
    contents.goldens = makeGoldenTable(module(), ofGpus);
    if (options.kernelLibrary.empty()) return llvm::Error::success();
    auto objects = buildLibrary(module(), options, progress);
    if (!objects) return objects.takeError();
    library = std::move(*objects);
    return llvm::Error::success();
  }

  llvm::Error describe() {
    contents.module = module();
    auto described = describeModel(options, checkpoint, model);
    if (!described) return described.takeError();
    contents.model = std::move(*described);
    auto weights = planWeights(module());
    if (!weights) return weights.takeError();
    contents.weights = std::move(*weights);
    if (options.weightsAtLoad) contents.random = randomWeights(model, *options.randomSeed);
    contents.chatTemplates = parsedChatTemplates(checkpoint, progress);
    contents.specialTokensJson = specialTokens(checkpoint).dump();
    contents.producer = "llmc " LLMC_VERSION;
    return describeTokenizer();
  }

  llvm::Error describeTokenizer() {
    if (!checkpoint.tokenizerJson) {
      progress.warn("the model has no tokenizer.json: the artifact will work with token ids only");
      return llvm::Error::success();
    }
    auto tokenizer = compileTokenizer(*checkpoint.tokenizerJson);
    if (tokenizer) {
      contents.tokenizer = std::move(*tokenizer);
      return llvm::Error::success();
    }
    std::string problem = llvm::toString(tokenizer.takeError());
    if (!llvm::StringRef(problem).contains("unsupported")) return llvm::createStringError(problem);
    progress.warn(problem + "; the artifact will work with token ids only");
    return llvm::Error::success();
  }

  llvm::Error write(CompileResult &result) {
    if (llvm::Error error = describe()) return error;
    result.artifact = options.output.empty() ? checkpoint.name + "-" + options.quantization + ".fbs" : options.output;
    WeightWriterOptions writer;
    writer.threads = options.threads;
    uint64_t total = contents.weights.bytes;
    writer.progress = [&](llvm::StringRef weight, uint64_t done) { progress.step(weight, done, total); };
    // The library appears with the artifact or not at all.
    auto kernels = beginKernelLibrary(library, options.kernelLibrary);
    if (!kernels) return kernels.takeError();
    auto written = writeArtifact(contents, *checkpoint.tensors, result.artifact, writer);
    if (!written) return written.takeError();
    if (*kernels)
      if (llvm::Error error = (*kernels)->commit()) return error;
    result.kernelLibrary = options.kernelLibrary;
    result.rootHash = llmrt::to_hex(written->rootHash);
    result.bytes = written->bytes;
    result.weightBytes = written->weightBytes;
    return llvm::Error::success();
  }

  const CompileOptions &options;
  Progress &progress;
  llvm::raw_ostream &ir;
  mlir::MLIRContext context;
  std::string diagnostics;
  Phase phase = Phase::Import;
  Checkpoint checkpoint;
  models::ImportedModel model; // that of the CPU, where both are asked for
  mlir::OwningOpRef<mlir::ModuleOp> forGpus; // from `quantized` to `exec`, where both are asked for
  ArtifactContents contents;
  std::vector<codegen::ObjectFile> library;
};

} // namespace

std::unique_ptr<TensorSource> randomTensorsFor(const models::ImportedModel &model, uint64_t seed) {
  RandomSpread spread = spreadOf(model);
  ElementType type = spread.element == "bf16"  ? ElementType::BF16
                     : spread.element == "f16" ? ElementType::F16
                                               : ElementType::F32;
  return makeRandomTensors(model.tensors, seed, spread.range, type);
}

llvm::Expected<CompileResult> compile(const CompileOptions &options, Progress &progress, llvm::raw_ostream &ir) {
  return Compiler(options, progress, ir).run();
}

} // namespace llmc
