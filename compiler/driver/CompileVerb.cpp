// llmc compile and llmc export-weights.
#include "compiler/driver/CompileFlags.h"
#include "compiler/driver/ConsoleProgress.h"
#include "compiler/driver/MemoryReport.h"
#include "compiler/driver/Verbs.h"
#include "compiler/import/Checkpoint.h"
#include "compiler/pipeline/Compile.h"
#include "dialects/exec/Exec.h"
#include "models/Registry.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "llvm/Support/Format.h"

#include <nlohmann/json.hpp>

namespace llmc {

// Instead of the result: what the artifact that was just written needs.
static llvm::Error printMemory(const CompileResult &result, const CompileFlags &flags) {
  auto artifact = llmrt::Artifact::open(result.artifact);
  if (!artifact) return llvm::createStringError(artifact.status().message());
  auto report = reportMemory(**artifact, int64_t(llmrt::os::available_memory()), llmrt::os::usable_cpus());
  if (!report) return report.takeError();
  llvm::outs() << (flags.json ? memoryJson(*report) : memoryText(*report));
  return llvm::Error::success();
}

static void printResult(const CompileResult &result, const CompileFlags &flags, ConsoleProgress &progress) {
  if (flags.json) {
    nlohmann::ordered_json json = {{"artifact", result.artifact}, {"root_hash", result.rootHash},
                                   {"bytes", result.bytes}, {"weight_bytes", result.weightBytes},
                                   {"seconds", progress.seconds()},
                                   {"peak_rss_bytes", llmrt::os::peak_rss_bytes()},
                                   {"peak_data_bytes", progress.peakDataBytes()}};
    if (!result.kernelLibrary.empty()) json["kernel_library"] = result.kernelLibrary;
    llvm::outs() << json.dump() << "\n";
    return;
  }
  if (flags.quiet) return;
  llvm::outs() << result.artifact << ": " << llmrt::format_bytes(result.bytes) << ", root_hash " << result.rootHash
               << ", " << llvm::format("%.1f s", progress.seconds()) << "\n";
}

static llvm::Error runCompile(const CompileFlags &flags) {
  auto options = resolveFlags(flags);
  if (!options) return options.takeError();
  Verbosity verbosity = flags.quiet ? Verbosity::Quiet : flags.verbose ? Verbosity::Verbose : Verbosity::Normal;
  if (options->stop != Phase::Artifact && verbosity == Verbosity::Normal) verbosity = Verbosity::Quiet;
  ConsoleProgress progress(verbosity);
  auto result = compile(*options, progress, llvm::outs());
  if (!result) return result.takeError();
  if (flags.printMemory) return printMemory(*result, flags);
  if (options->stop == Phase::Artifact) printResult(*result, flags, progress);
  return llvm::Error::success();
}

Verb addCompile(CLI::App &app) {
  auto flags = std::make_shared<CompileFlags>();
  addCompileFlags(app, *flags);
  return [flags] { return runCompile(*flags); };
}

// ---- export-weights --------------------------------------------------------------------------------------------------

namespace {
struct ExportFlags {
  std::string model, weights, output;
};
} // namespace

static llvm::Error runExport(const ExportFlags &flags) {
  if (llvm::Error error = refuseModel(flags.model)) return error;
  auto seed = parseRandomWeights(flags.weights);
  if (!seed) return seed.takeError();
  auto checkpoint = openCheckpoint(flags.model, /*needWeights=*/false);
  if (!checkpoint) return checkpoint.takeError();
  mlir::DialectRegistry registry;
  exec::registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto model = models::importModel(context, checkpoint->config);
  if (!model) return model.takeError();
  auto tensors = randomTensorsFor(*model, *seed);
  return exportWeights(*checkpoint, model->tensors, *tensors, flags.output);
}

Verb addExportWeights(CLI::App &app) {
  auto flags = std::make_shared<ExportFlags>();
  app.add_option("MODEL", flags->model, "a folder or a config.json")->required();
  app.add_option("--weights", flags->weights, "random:SEED")->required();
  app.add_option("-o,--output", flags->output, "the folder to write")->required();
  return [flags] { return runExport(*flags); };
}

} // namespace llmc
