// llmc inspect, verify and families: what looks at files and at the registry.
#include "compiler/driver/Verbs.h"
#include "models/Registry.h"
#include "runtime/artifact/inspect.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/weights/random_weights.h"
#include "llvm/Support/raw_ostream.h"

#include <nlohmann/json.hpp>

namespace llmc {

namespace {
struct FileFlags {
  std::string file, dumpKernels;
  bool json = false;
};
} // namespace

static llvm::Error toError(const llmrt::Status &status) {
  return status.ok() ? llvm::Error::success() : llvm::createStringError(status.message());
}

static llvm::Error runInspect(const FileFlags &flags) {
  auto artifact = llmrt::Artifact::open(flags.file);
  if (!artifact) return toError(artifact.status());
  if (!flags.dumpKernels.empty()) {
    auto count = llmrt::dump_kernels(**artifact, flags.dumpKernels);
    if (!count) return toError(count.status());
    llvm::errs() << flags.dumpKernels << ": " << *count << " kernels\n";
    if (!flags.json) return llvm::Error::success();
  }
  std::string text = flags.json ? llmrt::inspect_json(**artifact) : llmrt::inspect_text(**artifact);
  llvm::outs() << text << (llvm::StringRef(text).ends_with("\n") ? "" : "\n");
  return llvm::Error::success();
}

Verb addInspect(CLI::App &app) {
  auto flags = std::make_shared<FileFlags>();
  app.add_option("FILE", flags->file, "an artifact")->required();
  app.add_flag("--json", flags->json, "as one JSON object");
  app.add_option("--dump-kernels", flags->dumpKernels, "write every kernel as an object file into this folder");
  return [flags] { return runInspect(*flags); };
}

static llvm::Error runVerify(const FileFlags &flags) {
  auto artifact = llmrt::Artifact::open(flags.file, {.verify_weights = true});
  if (!artifact) return toError(artifact.status());
  bool made = llmrt::has_random_weights((*artifact)->meta());
  if (made) {
    artifact = llmrt::llmrt_random_weights.make(*artifact, llmrt::os::usable_cpus());
    if (!artifact) return toError(artifact.status());
    if (llvm::Error error = toError(llmrt::verify_weights(**artifact, true))) return error;
  }
  std::string hash = llmrt::to_hex((*artifact)->root_hash());
  if (flags.json)
    llvm::outs() << nlohmann::ordered_json{{"verified", true}, {"root_hash", hash}, {"weights_at_load", made}}.dump()
                 << "\n";
  else llvm::outs() << flags.file << ": whole and well-formed, root_hash " << hash
                    << (made ? "; its weights are not in it, and come out as their hashes say" : "") << "\n";
  return llvm::Error::success();
}

Verb addVerify(CLI::App &app) {
  auto flags = std::make_shared<FileFlags>();
  app.add_option("FILE", flags->file, "an artifact")->required();
  app.add_flag("--json", flags->json, "as one JSON object");
  return [flags] { return runVerify(*flags); };
}

static llvm::Error runFamilies(bool json) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const models::Family &family : models::families()) {
    list.push_back({{"name", family.name}, {"model_types", family.modelTypes},
                    {"architectures", family.architectures}, {"notes", family.notes}});
    if (!json) llvm::outs() << llvm::left_justify(family.name, 12) << family.notes << "\n";
  }
  if (json) llvm::outs() << list.dump() << "\n";
  return llvm::Error::success();
}

Verb addFamilies(CLI::App &app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "as a JSON array");
  return [json] { return runFamilies(*json); };
}

} // namespace llmc
