#include "compiler/driver/CompileFlags.h"

#include "codegen/Codegen.h"
#include "codegen/schemes/Scheme.h"
#include "compiler/driver/Verbs.h"
#include "runtime/abi/kernel.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"

namespace llmc {

void addCompileFlags(CLI::App &app, CompileFlags &flags) {
  app.add_option("MODEL", flags.model, "a Hugging Face folder, a .safetensors file or a model.safetensors.index.json")
      ->required();
  app.add_option("--target", flags.targets, "cpu, cuda, vulkan; default cpu")
      ->delimiter(',')
      ->expected(1, -1);
  app.add_option("--cpu-tier", flags.tiers,
                 "native or tiers by name; default x86-64-v3,x86-64-v4-vnni,x86-64-v4-amx,arm64-dotprod")
      ->delimiter(',');
  app.add_option("--gpu-arch", flags.gpuArchs, "chips that --target cuda makes machine code for, e.g. sm_80,sm_90a")->delimiter(',');
  app.add_option("--quantization", flags.quantization, "auto, none, q8_g32, q4_g32, q4_g128, ...");
  app.add_option("--dtype", flags.dtype, "auto, float32, bfloat16 or float16: unquantized tensors");
  app.add_option("--activations", flags.activations,
                 "of quantized linears: int8, bf16 or float on all targets; default int8 on the CPU, float on GPUs; "
                 "bf16 also of bf16 weights; on NVIDIA's GPUs by matrix units");
  app.add_option("--kv-cache-dtype", flags.kvCacheDtype, "auto, f32, bf16, f16 or int8");
  app.add_option("--max-model-len", flags.maxModelLen, "default of llmrt; the config's length");
  app.add_option("--max-num-batched-tokens", flags.maxNumBatchedTokens, "default of llmrt; 512");
  app.add_option("--max-num-seqs", flags.maxNumSeqs, "default of llmrt; 64");
  app.add_option("--weights", flags.weights, "random:SEED makes weights up; MODEL may be a config alone");
  app.add_flag("--weights-at-load", flags.weightsAtLoad, "with random:SEED: weights are not in the file, llmrt makes them "
                                                         "when it loads it; for benchmarks");
  app.add_option("-o,--output", flags.output, "the artifact; default <name>-<quantization>.fbs");
  app.add_option("--compile-to", flags.compileTo, "print the IR after a phase: import, fused, quantized, paged, exec, "
                                                  "kernels");
  app.add_option("--emit-kernels", flags.emitKernels, "beside the artifact an archive, FILE.a, of its kernels to link into "
                                                      "a program, and FILE.h; tiers of one architecture");
  app.add_option("--emit-kernels-for", flags.emitKernelsFor, "linux (ELF, the default) or ios (Mach-O, arm64 tiers)");
  app.add_flag("--print-memory", flags.printMemory, "what llmrt will need, as a formula and its value");
  app.add_flag("--json", flags.json, "the result as one JSON object on stdout");
  app.add_option("-j,--threads", flags.threads, "threads; default one a processor");
  app.add_flag("-v,--verbose", flags.verbose, "every step");
  app.add_flag("-q,--quiet", flags.quiet, "errors only");
  for (CLI::Option *option : app.get_options())
    if (!llvm::is_contained({"--target", "--cpu-tier", "--gpu-arch"}, llvm::StringRef(option->get_name())))
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

llvm::Error refuseModel(llvm::StringRef model) {
  if (model.ends_with_insensitive(".gguf"))
    return usageError(model + ": GGUF is not built yet; give the Hugging Face folder that it was made from");
  return llvm::Error::success();
}

llvm::Expected<uint64_t> parseRandomWeights(const std::string &text) {
  uint64_t seed = 0;
  llvm::StringRef rest = text;
  if (!rest.consume_front("random:") || !llmrt::parse_integer(std::string_view(rest), seed))
    return usageError("--weights takes random:SEED with a number from 0 to 18446744073709551615, not " + text);
  return seed;
}

llvm::Expected<std::string> nativeTier() {
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  auto all = [&](std::initializer_list<const char *> names) {
    return llvm::all_of(names, [&](const char *name) { return host.lookup(name); });
  };
  uint64_t features = 0;
  uint32_t architecture = LLMRT_ARCH_X86_64;
#if defined(__aarch64__)
  architecture = LLMRT_ARCH_ARM64;
  features |= LLMRT_FEATURE_NEON;
  if (all({"dotprod"})) features |= LLMRT_FEATURE_DOTPROD;
  if (all({"i8mm"})) features |= LLMRT_FEATURE_I8MM;
#else
  if (all({"avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe"})) features |= LLMRT_FEATURE_AVX2;
  if (all({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})) features |= LLMRT_FEATURE_AVX512;
  if (all({"avx512vnni"})) features |= LLMRT_FEATURE_AVX512_VNNI;
  if (all({"avx512bf16"})) features |= LLMRT_FEATURE_AVX512_BF16;
  if (all({"amx-tile", "amx-int8"})) features |= LLMRT_FEATURE_AMX_INT8;
  if (all({"avxvnni"})) features |= LLMRT_FEATURE_AVX_VNNI;
#endif
  // Tiers are listed from the least to the most able.
  for (const codegen::CpuTier &tier : llvm::reverse(codegen::cpuTiers()))
    if (tier.architecture == architecture && (tier.features & ~features) == 0) return std::string(tier.name);
  return usageError("--cpu-tier native: this machine is below x86-64-v3, the least that llmrt runs on");
}

// ---- each flag -------------------------------------------------------------------------------------------------------

static llvm::Error checkTargets(const CompileFlags &flags) {
  for (llvm::StringRef target : flags.targets) {
    if (target == "cpu" || target == "cuda" || target == "vulkan") continue;
    return usageError("--target " + target + " is not known; there are cpu, cuda, vulkan");
  }
  bool cpu = flags.targets.empty() || llvm::is_contained(flags.targets, "cpu");
  if (!cpu && (!flags.tiers.empty() || !flags.emitKernels.empty()))
    return usageError("--cpu-tier and --emit-kernels go with --target cpu");
  if (!flags.gpuArchs.empty() && !llvm::is_contained(flags.targets, "cuda"))
    return usageError("--gpu-arch goes with --target cuda");
  return llvm::Error::success();
}

// PTX for all chips, for those with matrix units where there is work for them, and for the chips that are named machine
// code, or PTX for one chip alone.
static llvm::Expected<std::vector<std::string>> resolveCudaTiers(const CompileFlags &flags, llvm::StringRef activations) {
  std::vector<std::string> tiers;
  if (!llvm::is_contained(flags.targets, "cuda")) return tiers;
  std::string known;
  auto isNamed = [](const codegen::CudaTier &tier) { return !tier.isPtx() || tier.isForOneChip(); };
  for (const codegen::CudaTier &tier : codegen::cudaTiers())
    if (isNamed(tier)) known += (known.empty() ? "" : ", ") + std::string(tier.name);
  for (llvm::StringRef chip : flags.gpuArchs)
    if (auto *tier = codegen::findCudaTier(chip); !tier || !isNamed(*tier))
      return usageError("--gpu-arch " + chip + " is not known; there are " + known);
  for (const codegen::CudaTier &tier : codegen::cudaTiers())
    if (isNamed(tier) ? llvm::is_contained(flags.gpuArchs, tier.name) : tier.isForAll() || activations == "bf16")
      tiers.push_back(tier.name);
  return tiers;
}

static llvm::Expected<std::vector<std::string>> resolveTiers(std::vector<std::string> names) {
  if (names.empty()) names = {"x86-64-v3", "x86-64-v4-vnni", "x86-64-v4-amx", "arm64-dotprod"};
  for (std::string &name : names) {
    if (name == "native") {
      auto native = nativeTier();
      if (!native) return native.takeError();
      name = *native;
    }
    if (codegen::findCpuTier(name)) continue;
    std::string known;
    for (const codegen::CpuTier &tier : codegen::cpuTiers()) known += std::string(", ") + tier.name;
    return usageError("--cpu-tier " + name + " is not known; there are native" + known);
  }
  std::vector<std::string> ordered;
  for (const codegen::CpuTier &tier : codegen::cpuTiers())
    if (llvm::is_contained(names, tier.name)) ordered.push_back(tier.name);
  return ordered;
}

static llvm::Expected<std::string> resolveQuantization(llvm::StringRef name) {
  // A checkpoint that is quantized already is refused by name on import, so its own scheme is always none.
  if (name == "auto" || name == "none") return std::string("none");
  if (findScheme(name)) return name.str();
  std::string known;
  for (const Scheme &scheme : schemes()) known += std::string(", ") + scheme.name;
  return usageError("--quantization " + name + " is not known; there are auto, none" + known);
}

static llvm::Expected<std::string> choose(llvm::StringRef flag, llvm::StringRef value, llvm::StringRef automatic,
                                          llvm::ArrayRef<llvm::StringRef> built, llvm::ArrayRef<llvm::StringRef> later) {
  if (value == automatic) return std::string();
  if (llvm::is_contained(built, value)) return value.str();
  const char *what = llvm::is_contained(later, value) ? " is not built yet; there are " : " is not known; there are ";
  std::string known = automatic.empty() ? llvm::join(built, ", ") : (automatic + ", " + llvm::join(built, ", ")).str();
  return usageError(flag + " " + value + what + known);
}

// Those that are named are for all targets; each has a default of its own.
static llvm::Error resolveActivations(const CompileFlags &flags, CompileOptions &options) {
  if (flags.activations.empty()) return llvm::Error::success();
  auto activations = choose("--activations", flags.activations, "", {"int8", "bf16", "float"}, {});
  if (!activations) return activations.takeError();
  options.activations = options.gpuActivations = *activations;
  return llvm::Error::success();
}

static llvm::Error resolveTypes(const CompileFlags &flags, CompileOptions &options) {
  auto dtype = choose("--dtype", flags.dtype, "auto", {"float32", "bfloat16", "float16"}, {});
  if (!dtype) return dtype.takeError();
  auto kv = choose("--kv-cache-dtype", flags.kvCacheDtype, "auto", {"f32", "bf16", "f16", "int8"}, {"fp8"});
  if (!kv) return kv.takeError();
  options.vulkan = llvm::is_contained(flags.targets, "vulkan");
  if (llvm::Error error = resolveActivations(flags, options)) return error;
  auto cuda = resolveCudaTiers(flags, options.gpuActivations);
  if (!cuda) return cuda.takeError();
  options.cudaTiers = *cuda;
  options.dtype = *dtype;
  options.kvCacheDtype = *kv;
  return llvm::Error::success();
}

static llvm::Error resolvePhase(const CompileFlags &flags, CompileOptions &options) {
  auto phase = parsePhase(flags.compileTo);
  if (!phase)
    return usageError("--compile-to " + flags.compileTo + " is not a phase; there are " + llvm::join(phaseNames(), ", "));
  if (*phase != Phase::Artifact && (!flags.output.empty() || flags.json || flags.printMemory || flags.weightsAtLoad))
    return usageError("--compile-to " + flags.compileTo + " prints IR to stdout and writes no artifact: it does not go "
                                                          "with --output, --json, --print-memory or --weights-at-load");
  options.stop = *phase;
  return llvm::Error::success();
}

// Of the tiers that were resolved before.
static llvm::Error resolveLibrary(const CompileFlags &flags, CompileOptions &options) {
  if (flags.emitKernelsFor != "linux" && flags.emitKernelsFor != "ios")
    return usageError("--emit-kernels-for " + flags.emitKernelsFor + " is not known; there are linux and ios");
  options.kernelLibraryForIos = flags.emitKernelsFor == "ios";
  if (flags.emitKernels.empty())
    return options.kernelLibraryForIos ? usageError("--emit-kernels-for ios needs --emit-kernels FILE.a")
                                       : llvm::Error::success();
  if (!llvm::StringRef(flags.emitKernels).ends_with(".a"))
    return usageError("--emit-kernels " + flags.emitKernels + ": the archive's name ends in .a");
  if (options.stop != Phase::Artifact)
    return usageError("--emit-kernels goes with an artifact and not with --compile-to " + flags.compileTo);
  uint32_t architecture = codegen::findCpuTier(options.tiers.front())->architecture;
  for (const std::string &tier : options.tiers)
    if (codegen::findCpuTier(tier)->architecture != architecture)
      return usageError("--emit-kernels makes a library for one architecture: choose x86-64 or arm64 tiers with "
                        "--cpu-tier");
  if (options.kernelLibraryForIos && architecture != LLMRT_ARCH_ARM64)
    return usageError("--emit-kernels-for ios takes arm64 tiers: choose them with --cpu-tier");
  options.kernelLibrary = flags.emitKernels;
  return llvm::Error::success();
}

static llvm::Error resolveCounts(const CompileFlags &flags, CompileOptions &options) {
  constexpr uint64_t most = uint64_t(1) << 30;
  if (flags.maxModelLen > most || flags.maxNumBatchedTokens > most || flags.maxNumSeqs > most)
    return usageError("--max-model-len, --max-num-batched-tokens and --max-num-seqs are at most 1073741824");
  if (flags.maxNumBatchedTokens == 0 || flags.maxNumSeqs == 0)
    return usageError("--max-num-batched-tokens and --max-num-seqs are at least 1");
  if (flags.threads < 0 || flags.threads > 4096) return usageError("--threads is from 1 to 4096");
  options.maxModelLen = flags.maxModelLen;
  options.maxNumBatchedTokens = flags.maxNumBatchedTokens;
  options.maxNumSeqs = flags.maxNumSeqs;
  options.threads = flags.threads ? flags.threads : llmrt::os::usable_cpus();
  return llvm::Error::success();
}

llvm::Expected<CompileOptions> resolveFlags(const CompileFlags &flags) {
  CompileOptions options;
  options.model = flags.model;
  options.output = flags.output;
  if (llvm::Error error = refuseModel(flags.model)) return std::move(error);
  if (llvm::Error error = checkTargets(flags)) return std::move(error);
  if (llvm::Error error = resolveTypes(flags, options)) return std::move(error);
  if (llvm::Error error = resolvePhase(flags, options)) return std::move(error);
  if (llvm::Error error = resolveCounts(flags, options)) return std::move(error);
  if (flags.targets.empty() || llvm::is_contained(flags.targets, "cpu")) {
    auto tiers = resolveTiers(flags.tiers);
    if (!tiers) return tiers.takeError();
    options.tiers = *tiers;
  }
  if (llvm::Error error = resolveLibrary(flags, options)) return std::move(error);
  auto quantization = resolveQuantization(flags.quantization);
  if (!quantization) return quantization.takeError();
  options.quantization = *quantization;
  if (!flags.weights.empty()) {
    auto seed = parseRandomWeights(flags.weights);
    if (!seed) return seed.takeError();
    options.randomSeed = *seed;
  }
  if (flags.weightsAtLoad && !options.randomSeed)
    return usageError("--weights-at-load goes with --weights random:SEED: the weights of a checkpoint cannot be made when "
                      "llmrt loads the artifact");
  options.weightsAtLoad = flags.weightsAtLoad;
  return options;
}

} // namespace llmc
