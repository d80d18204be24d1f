// mutate_kernels [--mutants N] [--seed N] [--jobs N] [--seconds N]: plants one error at a time in a kernel as it is
// emitted, runs the conformance tests that use that kernel, and prints how many of the errors they find. Exit code 1 if
// it is fewer than 95%. A mutant is a process of its own, so one that crashes or does not end is found out too.
//
// Not counted: mutants whose code is, byte for byte, that of the right kernel, and those that do not lower.
#include "test/conformance/KernelHarness.h"
#include "test/conformance/Mutation.h"

#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

namespace llmc::conformance {
namespace {

constexpr double kBar = 0.95;
constexpr unsigned kSecondsOfAMutant = 60;

// What the suite is run on: the plainest tier, the one with most code of its own, and the source that GPUs share.
const char *const kDevices[] = {"cuda", "x86-64-v3", "x86-64-v4-vnni-bf16"};

struct Subject {
  std::string device, text;
  std::array<uint8_t, 16> id; // of the kernel
  std::vector<std::vector<Mutant>> mutants; // of each module that is emitted: all of the kernel, or a variant
};

struct Planted {
  const Subject *subject = nullptr;
  size_t module = 0;
  Mutant mutant;
};

enum Outcome { kSurvived = 0, kSame = 42, kStillborn = 43, kKilled };

// The kernels that the tests ask for, by asking them to ask.
std::vector<std::string> textsOfTheSuite() {
  std::vector<std::string> texts;
  setTextFilter([&](const std::string &text) {
    texts.push_back(text);
    return false;
  });
  if (RUN_ALL_TESTS() != 0) llvm::report_fatal_error("tests fail that run nothing");
  llvm::sort(texts);
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

std::vector<std::vector<Mutant>> mutantsOf(const TestDevice &device, const std::string &text) {
  std::vector<std::vector<Mutant>> all;
  useKernel(text, [&](exec::KernelOp kernel) {
    auto built = device.buildChanged(kernel, [&](mlir::ModuleOp module) { all.push_back(conformance::mutantsOf(module)); });
    if (!built) llvm::report_fatal_error(built.takeError());
  });
  return all;
}

// Mutants of all subjects in turn, each at random places.
std::vector<Planted> draw(const std::vector<Subject> &subjects, size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Planted> planted;
  for (size_t turn = 0; planted.size() < count && turn < 50 * count; ++turn) {
    const Subject &subject = subjects[turn % subjects.size()];
    size_t module = random() % subject.mutants.size();
    if (subject.mutants[module].empty()) continue;
    planted.push_back({&subject, module, subject.mutants[module][random() % subject.mutants[module].size()]});
  }
  return planted;
}

// In a process of its own: the tests that use the kernel, with the error in it.
[[noreturn]] void runMutant(const Planted &planted) {
  int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, 1);
  dup2(nowhere, 2);
  alarm(kSecondsOfAMutant);
  const Subject &subject = *planted.subject;
  for (TestDevice &device : allDevices()) {
    bool own = device.name == subject.device;
    device.runs = [own] { return own; };
    if (!own) continue;
    auto right = device.build;
    device.build = [&device, &planted, right](llvm::ArrayRef<exec::KernelOp> kernels) {
      if (codegen::kernelId(kernels.front()) != planted.subject->id) return right(kernels);
      size_t module = 0;
      auto wrong = device.buildChanged(kernels.front(), [&](mlir::ModuleOp emitted) {
        if (module++ == planted.module) plant(emitted, planted.mutant);
      });
      if (!wrong) _exit(kStillborn);
      auto own = right(kernels);
      if (own && own->bytes == wrong->bytes) _exit(kSame);
      return wrong;
    };
  }
  setTextFilter([&](const std::string &text) { return text == subject.text; });
  GTEST_FLAG_SET(break_on_failure, true);
  _exit(RUN_ALL_TESTS() == 0 ? kSurvived : kKilled);
}

Outcome outcomeOf(int status) {
  if (!WIFEXITED(status)) return kKilled;
  int code = WEXITSTATUS(status);
  return code == kSurvived || code == kSame || code == kStillborn ? Outcome(code) : kKilled;
}

struct Options {
  size_t mutants = 300, jobs = 2;
  uint32_t seed = 1;
  int64_t seconds = 330;
};

class Run {
public:
  explicit Run(const Options &options) : options_(options) {}

  void all(const std::vector<Planted> &planted) {
    auto start = std::chrono::steady_clock::now();
    for (const Planted &one : planted) {
      if (std::chrono::steady_clock::now() - start > std::chrono::seconds(options_.seconds)) break;
      if (running_.size() >= options_.jobs) collect();
      pid_t child = fork();
      if (child == 0) runMutant(one);
      running_[child] = &one;
    }
    while (!running_.empty()) collect();
  }

  // False where too few were killed.
  bool report() const {
    size_t killed = 0, survived = 0;
    for (const char *device : kDevices) {
      auto found = counts_.find(device);
      if (found == counts_.end()) continue;
      std::map<Outcome, size_t> counts = found->second;
      printf("%s: %zu of %zu killed; %zu give the same code, %zu do not lower\n", device, counts[kKilled],
             counts[kKilled] + counts[kSurvived], counts[kSame], counts[kStillborn]);
      killed += counts[kKilled];
      survived += counts[kSurvived];
    }
    double share = killed + survived ? double(killed) / double(killed + survived) : 0;
    printf("mutants: %zu of %zu killed, %.1f%% (at least %.0f%%)\n", killed, killed + survived, 100 * share, 100 * kBar);
    return share >= kBar;
  }

private:
  void collect() {
    int status = 0;
    pid_t child = wait(&status);
    const Planted &one = *running_.at(child);
    running_.erase(child);
    Outcome outcome = outcomeOf(status);
    ++counts_[one.subject->device][outcome];
    if (outcome == kSurvived)
      printf("survived on %s: %s (operation %zu of module %zu) in %s\n", one.subject->device.c_str(),
             one.mutant.text.c_str(), one.mutant.operation, one.module, one.subject->text.c_str());
    fflush(stdout);
  }

  Options options_;
  std::map<pid_t, const Planted *> running_;
  std::map<std::string, std::map<Outcome, size_t>> counts_;
};

bool parse(int argc, char **argv, Options &options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    llvm::StringRef flag = argv[i];
    int64_t value = 0;
    if (llvm::StringRef(argv[i + 1]).getAsInteger(10, value) || value < 1) return false;
    if (flag == "--mutants") options.mutants = size_t(value);
    else if (flag == "--jobs") options.jobs = size_t(value);
    else if (flag == "--seed") options.seed = uint32_t(value);
    else if (flag == "--seconds") options.seconds = value;
    else return false;
  }
  return argc % 2 == 1;
}

int mutate(const Options &options) {
  // What is built for every tier, and what is only about the devices, says nothing about a kernel.
  GTEST_FLAG_SET(filter, "-Devices.*:*.EveryTierHasCode");
  int out = dup(1), nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, 1);
  for (TestDevice &device : allDevices())
    if (!llvm::is_contained(kDevices, device.name) || !device.runs()) device.runs = [] { return false; };
  std::vector<std::string> texts = textsOfTheSuite();
  dup2(out, 1);
  std::vector<Subject> subjects;
  for (const std::string &device : devices())
    for (const std::string &text : texts)
      if (withKernel(text, findDevice(device).refusal).empty())
        subjects.push_back({device, text, withKernel(text, codegen::kernelId), mutantsOf(findDevice(device), text)});
  std::mt19937 random(options.seed);
  std::shuffle(subjects.begin(), subjects.end(), random);
  size_t places = 0;
  for (const Subject &subject : subjects)
    for (const auto &module : subject.mutants) places += module.size();
  printf("%zu mutants of %zu kernels and devices; drawing %zu\n", places, subjects.size(), options.mutants);
  Run run(options);
  run.all(draw(subjects, options.mutants, options.seed));
  return run.report() ? 0 : 1;
}

} // namespace
} // namespace llmc::conformance

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  llmc::conformance::Options options;
  if (!llmc::conformance::parse(argc, argv, options)) {
    fprintf(stderr, "usage: mutate_kernels [--mutants N] [--seed N] [--jobs N] [--seconds N]\n");
    return 2;
  }
  return llmc::conformance::mutate(options);
}
