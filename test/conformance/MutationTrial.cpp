#include "test/conformance/MutationTrial.h"

#include "llvm/Support/ErrorHandling.h"
#include "mlir/IR/Verifier.h"
#include "test/conformance/KernelHarness.h"
#include "test/conformance/Mutation.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <optional>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace llmc::conformance {

namespace {

double secondsOf(const rusage &usage) {
  return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + 1e-6 * double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double ownSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return secondsOf(usage);
}

struct Planted {
  size_t variant = 0;
  Mutant mutant;
};

class Trial {
public:
  Trial(const Subject &subject, exec::KernelOp kernel, int out)
      : subject_(subject), kernel_(kernel), steps_(findDevice(subject.device).steps), out_(out), tests_(subject.tests),
        isBuilt_(static_cast<bool *>(mmap(nullptr, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}

  // The right kernel, and what may be changed in it.
  void build() {
    size_t variants = steps_.variants(kernel_);
    for (size_t variant = 0; variant < variants; ++variant) {
      double before = ownSeconds();
      mlir::OwningOpRef<mlir::ModuleOp> module = steps_.emit(kernel_, variant);
      for (Mutant &mutant : mutantsOf(*module)) places_.push_back({variant, std::move(mutant)});
      right_.push_back(llvm::cantFail(steps_.lower(*module)));
      buildSeconds_ = std::max(buildSeconds_, ownSeconds() - before);
    }
    setCachedKernel(subject_.text, subject_.device, llvm::cantFail(steps_.link(kernel_, right_)));
  }

  // Tests in the order of what they take; the other kernels that they use are built from now on. Then once more in a
  // process of its own, where they must pass as well: what mutants are measured against.
  void rehearse() {
    std::vector<std::pair<double, std::string>> timed;
    for (const std::string &test : tests_) {
      double before = ownSeconds();
      if (!passes(test)) llvm::report_fatal_error(llvm::Twine(test) + " fails on " + subject_.device + " without an error");
      timed.push_back({ownSeconds() - before, test});
    }
    llvm::sort(timed);
    for (size_t i = 0; i < tests_.size(); ++i) tests_[i] = timed[i].second;
    if (Fate fate = fateOf(nullptr); fate != Fate::Survived)
      llvm::report_fatal_error(llvm::Twine("tests fail on ") + subject_.device + " in a process of their own: " + subject_.text);
    limit_ = 3 + 4 * (testSeconds_ + buildSeconds_);
  }

  void draw(size_t count, uint32_t seed) {
    std::mt19937 random(seed);
    for (size_t i = 0; i < count && !places_.empty(); ++i) {
      std::swap(places_[random() % places_.size()], places_.back());
      Planted planted = std::move(places_.back());
      places_.pop_back();
      Fate fate = fateOf(&planted);
      std::string line = std::string(1, char(fate)) + " " + planted.mutant.text;
      if (fate == Fate::Survived)
        line += " at " + placeOf(*steps_.emit(kernel_, planted.variant), planted.mutant) + " (variant " +
                std::to_string(planted.variant) + ", operation " + std::to_string(planted.mutant.operation) + ")";
      for (char &c : line) c = c == '\n' ? ' ' : c;
      line += '\n';
      if (write(out_, line.data(), line.size()) != ssize_t(line.size())) llvm::report_fatal_error("cannot report a mutant");
    }
  }

private:
  static bool passes(const std::string &test) {
    GTEST_FLAG_SET(filter, test);
    return RUN_ALL_TESTS() == 0;
  }

  // Of the error, or of the right kernel.
  Fate fateOf(const Planted *planted) {
    *isBuilt_ = planted == nullptr;
    pid_t child = fork();
    if (child == 0) run(planted);
    int status = 0;
    rusage usage{};
    if (wait4(child, &status, 0, &usage) != child) llvm::report_fatal_error("a mutant is lost");
    if (!planted) testSeconds_ = secondsOf(usage);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Fate::Survived;
    if (WIFEXITED(status) && WEXITSTATUS(status) == int(Fate::Same)) return Fate::Same;
    if (!*isBuilt_ || (WIFEXITED(status) && WEXITSTATUS(status) == int(Fate::Stillborn))) return Fate::Stillborn;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF) return Fate::Endless;
    // A test that fails is a break; a check of the harness aborts.
    return WIFSIGNALED(status) && WTERMSIG(status) != SIGTRAP ? Fate::Faulty : Fate::Wrong;
  }

  [[noreturn]] void run(const Planted *planted) {
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 2);
    rlimit noCore{0, 0};
    setrlimit(RLIMIT_CORE, &noCore);
    // Code that the interpreter cannot read: nothing was run.
    llvm::install_fatal_error_handler([](void *, const char *reason, bool) {
      if (llvm::StringRef(reason).contains("CUDA_ERROR_INVALID_PTX")) _exit(int(Fate::Stillborn));
    });
    if (planted) {
      // Of the process's own time: how busy the machine is does not count.
      itimerval limit{{0, 0}, {time_t(limit_), 0}};
      setitimer(ITIMER_PROF, &limit, nullptr);
      plantIn(*planted);
    }
    *isBuilt_ = true;
    GTEST_FLAG_SET(break_on_failure, true);
    for (const std::string &test : tests_)
      if (!passes(test)) _exit(1);
    _exit(0);
  }

  void plantIn(const Planted &planted) {
    mlir::OwningOpRef<mlir::ModuleOp> module = steps_.emit(kernel_, planted.variant);
    plant(*module, planted.mutant);
    if (mlir::failed(mlir::verify(*module))) _exit(int(Fate::Stillborn));
    auto code = steps_.lower(*module);
    if (!code) _exit(int(Fate::Stillborn));
    if (*code == right_[planted.variant]) _exit(int(Fate::Same));
    std::vector<std::vector<char>> all = right_;
    all[planted.variant] = std::move(*code);
    auto segment = steps_.link(kernel_, all);
    if (!segment) _exit(int(Fate::Stillborn));
    setCachedKernel(subject_.text, subject_.device, *segment);
  }

  const Subject &subject_;
  exec::KernelOp kernel_;
  const Steps &steps_;
  int out_;
  std::vector<std::string> tests_;
  bool *isBuilt_; // shared with the mutant: the tests have begun
  std::vector<Planted> places_;
  std::vector<std::vector<char>> right_; // code, by variant
  double buildSeconds_ = 0, testSeconds_ = 0, limit_ = 0; // of the slowest variant; of all tests; of a mutant
};

} // namespace

void tryMutants(const Subject &subject, size_t count, uint32_t seed, int out) {
  dup2(open("/dev/null", O_WRONLY), 1);
  for (TestDevice &device : allDevices())
    if (device.name != subject.device) device.runs = [] { return false; };
  std::string key = keyOf(subject.text);
  setKernelFilter([&](const std::string &, const std::string &text) { return keyOf(text) == key; });
  useKernel(subject.text, [&](exec::KernelOp kernel) {
    Trial trial(subject, kernel, out);
    trial.build();
    trial.rehearse();
    trial.draw(count, seed);
  });
}

} // namespace llmc::conformance
