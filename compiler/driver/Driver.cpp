#include "compiler/driver/Driver.h"

#include "compiler/driver/Verbs.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <vector>

namespace llmc {

char UsageError::ID = 0;

namespace {

struct Entry {
  CLI::App *app;
  Verb run;
};

int report(llvm::Error error) {
  int code = 0;
  llvm::handleAllErrors(
      std::move(error), [&](const UsageError &usage) { code = 2; llvm::errs() << "llmc: " << usage.message() << "\n"; },
      [&](const llvm::ErrorInfoBase &other) { code = 1; llvm::errs() << "llmc: " << other.message() << "\n"; });
  return code;
}

// Help and version are results; everything else that CLI11 throws is wrong usage.
int reportParse(const CLI::App &app, const CLI::ParseError &error) {
  if (error.get_exit_code() == int(CLI::ExitCodes::Success)) return app.exit(error);
  llvm::errs() << "llmc: " << error.what() << "; llmc --help and llmc VERB --help list what there is\n";
  return 2;
}

int run(int argc, char **argv) {
  CLI::App app("llmc compiles a Hugging Face checkpoint into one file that llmrt runs", "llmc");
  app.set_version_flag("--version", LLMC_VERSION);
  app.require_subcommand(1);
  CLI::App *compile = app.add_subcommand("compile", "compile MODEL into an artifact");
  CLI::App *inspect = app.add_subcommand("inspect", "what is in an artifact, and sizes by part");
  CLI::App *verify = app.add_subcommand("verify", "check an artifact, every weight included");
  CLI::App *families = app.add_subcommand("families", "the model families that are supported");
  CLI::App *exportWeights = app.add_subcommand("export-weights", "write made-up weights as safetensors");
  CLI::App *diff = app.add_subcommand("diff", "compare layer by layer against a reference (not built yet)");
  diff->allow_extras();
  std::vector<Entry> entries = {
      {compile, addCompile(*compile)}, {inspect, addInspect(*inspect)}, {verify, addVerify(*verify)},
      {families, addFamilies(*families)}, {exportWeights, addExportWeights(*exportWeights)},
      {diff, [] { return usageError("diff is not built yet"); }}};
  // CLI11 would say that a verb is missing.
  bool known = argc < 2 || argv[1][0] == '-' ||
               llvm::any_of(entries, [&](const Entry &entry) { return entry.app->get_name() == argv[1]; });
  if (!known) return report(usageError(llvm::Twine(argv[1]) + " is not a verb; llmc --help lists what there is"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return reportParse(app, error);
  }
  for (const Entry &entry : entries)
    if (entry.app->parsed()) return report(entry.run());
  return 2; // not reached: a verb is required
}

} // namespace

int runDriver(int argc, char **argv) {
  llvm::sys::SetInterruptFunction(+[] { std::_Exit(130); });
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc &) {
    llvm::errs() << "llmc: out of memory\n";
  } catch (const std::exception &error) {
    llvm::errs() << "llmc: " << error.what() << "\n";
  }
  return 1;
}

} // namespace llmc
