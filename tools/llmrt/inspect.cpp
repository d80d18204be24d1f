// llmrt inspect, verify.
#include "runtime/artifact/inspect.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/session/pick_device.h"
#include "runtime/weights/random_weights.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/progress.h"
#include "tools/llmrt/verbs.h"

namespace llmrt::tool {

namespace {

struct InspectFlags {
  ModelFlags model;
  std::string kernels;
};

int inspect(const InspectFlags &flags) {
  Result<ModelOptions> options = model_options(flags.model);
  if (!options.ok())
    return usage(options.status().message());
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options->path);
  if (!artifact.ok())
    return fail(artifact.status());
  if (!flags.kernels.empty()) {
    Result<int> count = dump_kernels(**artifact, flags.kernels);
    if (!count.ok())
      return fail(count.status());
    fprintf(stderr, "%d kernels in %s\n", *count, flags.kernels.c_str());
  }
  std::string out = flags.model.json ? inspect_json(**artifact) : inspect_text(**artifact);
  if (out.empty() || out.back() != '\n')
    out += '\n';
  if (!flags.model.json) {
    DevicePick pick = pick_device(**artifact);
    out += "would run on    " + pick.device + ": " + pick.why + "\n";
    for (const std::string &line : tier_picks(**artifact))
      out += "                " + line + "\n";
  }
  return print(out) && flush_stdout() ? kOk : kError;
}

int verify(const ModelFlags &flags) {
  Result<ModelOptions> options = model_options(flags);
  if (!options.ok())
    return usage(options.status().message());
  options->text_only = true; // checks all but the weights, the tokenizer's tables included
  catch_interrupts();
  std::unique_ptr<Model> model;
  if (int code = open_model(*options, &model); code != kOk)
    return code;
  Result<std::shared_ptr<const Artifact>> whole = model->artifact;
  if (has_random_weights(model->artifact->meta())) // what they come out as is what is to be verified
    whole = llmrt_random_weights.make(model->artifact, os::usable_cpus());
  if (!whole.ok())
    return fail(whole.status());
  Progress progress("verify", 1, flags.quiet);
  Status status = verify_weights(**whole, true, [&progress](uint64_t done, uint64_t total) {
    progress.show(total ? static_cast<double>(done) / static_cast<double>(total) : 1);
    return !interrupted();
  });
  if (interrupted())
    return kInterrupted;
  if (!status.ok())
    return fail(status);
  return print(model->root_hash + " " + options->path + ": good\n") && flush_stdout() ? kOk : kError;
}

} // namespace

std::function<int()> setup_inspect(Flags &flags) {
  auto to = std::make_shared<InspectFlags>();
  add_file_flags(flags, to->model);
  flags.flag("--json", to->model.json, "for scripts");
  flags.text("--dump-kernels", to->kernels, "write every kernel into this folder");
  return [to] { return inspect(*to); };
}

std::function<int()> setup_verify(Flags &flags) {
  auto to = std::make_shared<ModelFlags>();
  add_file_flags(flags, *to);
  return [to] { return verify(*to); };
}

} // namespace llmrt::tool
