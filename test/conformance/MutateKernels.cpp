// mutate_kernels [--mutants N] [--skip N] [--seed N] [--jobs N]: plants one error at a time in a kernel as it is emitted,
// runs the conformance tests that use that kernel, and prints how many of the errors they find. Exit code 1 if it is fewer
// than 95%. Kernels and places are drawn by the seed: the same numbers give the same errors, whatever the machine.
// `--skip N` leaves out the first N: a long run in parts.
//
// Not counted: mutants whose code is, byte for byte, that of the right kernel, and those that do not lower.
#include "test/conformance/KernelHarness.h"
#include "test/conformance/MutationTrial.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <map>
#include <poll.h>
#include <random>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

namespace llmc::conformance {
namespace {

constexpr double kBar = 0.95;
constexpr size_t kOfEach = 4; // mutants of a kernel, whose right code and tests' other kernels are built once

// What the suite is run on: the plainest tier, the one with most code of its own, and the source that GPUs share.
const char *const kDevices[] = {"cuda", "x86-64-v3", "x86-64-v4-vnni-bf16"};

struct Options {
  size_t mutants = 400, skip = 0, jobs = 2;
  uint32_t seed = 1;
};

// The kernels that the tests ask for, on each device, by asking them to ask.
std::vector<Subject> subjectsOfTheSuite() {
  std::map<std::pair<std::string, std::string>, std::pair<std::string, std::set<std::string>>> asked;
  setKernelFilter([&](const std::string &device, const std::string &text) {
    const testing::TestInfo *test = testing::UnitTest::GetInstance()->current_test_info();
    auto &[first, tests] = asked[{device, keyOf(text)}];
    if (first.empty()) first = text;
    tests.insert(std::string(test->test_suite_name()) + "." + test->name());
    return false;
  });
  int out = dup(1), nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, 1);
  // What is built for every tier says nothing about a kernel.
  GTEST_FLAG_SET(filter, "-*.EveryTierHasCode");
  if (RUN_ALL_TESTS() != 0) llvm::report_fatal_error("tests fail that run nothing");
  fflush(stdout);
  dup2(out, 1);
  std::vector<Subject> subjects;
  for (const auto &[key, use] : asked)
    subjects.push_back({key.first, use.first, {use.second.begin(), use.second.end()}});
  return subjects;
}

// "linear", of `exec.kernel @k "linear" {...}`.
std::string kindOf(const std::string &text) { return llvm::StringRef(text).split('"').second.split('"').first.str(); }

struct Count {
  std::map<Fate, size_t> fates;

  size_t killed() const { return of(Fate::Wrong) + of(Fate::Faulty) + of(Fate::Endless); }
  size_t all() const { return killed() + of(Fate::Survived); }
  size_t of(Fate fate) const {
    auto found = fates.find(fate);
    return found == fates.end() ? 0 : found->second;
  }
  std::string text() const {
    return std::to_string(killed()) + " of " + std::to_string(all()) + " killed (" + std::to_string(of(Fate::Wrong)) +
           " by a result, " + std::to_string(of(Fate::Faulty)) + " by a fault, " + std::to_string(of(Fate::Endless)) +
           " without end); " + std::to_string(of(Fate::Same)) + " give the same code, " +
           std::to_string(of(Fate::Stillborn)) + " do not lower";
  }
};

// Several subjects at once, each in a process that says line by line what became of its mutants.
class Run {
public:
  Run(const Options &options, std::vector<Subject> subjects) : options_(options), subjects_(std::move(subjects)) {}

  void all() {
    for (size_t next = options_.skip / kOfEach, left = options_.mutants; next < subjects_.size() || !running_.empty();) {
      for (; next < subjects_.size() && running_.size() < options_.jobs; ++next) {
        size_t count = std::min(left, kOfEach);
        left -= count;
        start(subjects_[next], count, options_.seed + uint32_t(next));
      }
      listen();
    }
  }

  // False where too few were killed.
  bool report() const {
    for (const auto &[device, count] : devices_) printf("%s: %s\n", device.c_str(), count.text().c_str());
    for (const auto &[kind, count] : kinds_) printf("  %s: %zu of %zu\n", kind.c_str(), count.killed(), count.all());
    double share = total_.all() ? double(total_.killed()) / double(total_.all()) : 0;
    printf("mutants: %s\n", total_.text().c_str());
    printf("%.1f%% killed (at least %.0f%%)\n", 100 * share, 100 * kBar);
    return share >= kBar;
  }

private:
  struct Process {
    pid_t id;
    int lines;
    const Subject *subject;
    std::string said;
  };

  void start(const Subject &subject, size_t count, uint32_t seed) {
    int ends[2];
    if (pipe(ends) != 0) llvm::report_fatal_error("no pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      tryMutants(subject, count, seed, ends[1]);
      _exit(0);
    }
    close(ends[1]);
    running_.push_back({child, ends[0], &subject, {}});
  }

  // Until one says something.
  void listen() {
    std::vector<pollfd> waiting;
    for (const Process &process : running_) waiting.push_back({process.lines, POLLIN, 0});
    poll(waiting.data(), waiting.size(), -1);
    for (size_t i = waiting.size(); i-- > 0;) {
      if (!waiting[i].revents) continue;
      char buffer[4096];
      ssize_t bytes = read(waiting[i].fd, buffer, sizeof buffer);
      if (bytes > 0) running_[i].said.append(buffer, size_t(bytes));
      else end(i);
    }
  }

  void end(size_t which) {
    Process process = std::move(running_[which]);
    running_.erase(running_.begin() + long(which));
    close(process.lines);
    int status = 0;
    if (waitpid(process.id, &status, 0) != process.id || status != 0)
      llvm::report_fatal_error(llvm::Twine("no mutants could be tried on ") + process.subject->device + " of " + process.subject->text);
    llvm::SmallVector<llvm::StringRef> lines;
    llvm::StringRef(process.said).split(lines, '\n', -1, /*KeepEmpty=*/false);
    for (llvm::StringRef line : lines) count(*process.subject, line);
    ++done_;
    printf("%zu of %zu kernels: %zu of %zu mutants killed\n", done_, subjects_.size() - options_.skip / kOfEach, total_.killed(),
           total_.all());
    fflush(stdout);
  }

  void count(const Subject &subject, llvm::StringRef line) {
    Fate fate = Fate(line[0]);
    std::string kind = kindOf(subject.text);
    for (Count *count : {&total_, &devices_[subject.device], &kinds_[kind]}) ++count->fates[fate];
    if (fate == Fate::Survived)
      printf("survived on %s: %s in %s\n", subject.device.c_str(), line.drop_front(2).str().c_str(), subject.text.c_str());
  }

  Options options_;
  std::vector<Subject> subjects_;
  std::vector<Process> running_;
  size_t done_ = 0;
  Count total_;
  std::map<std::string, Count> devices_, kinds_;
};

bool parse(int argc, char **argv, Options &options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    llvm::StringRef flag = argv[i];
    int64_t value = 0;
    if (llvm::StringRef(argv[i + 1]).getAsInteger(10, value) || value < (flag == "--skip" ? 0 : 1)) return false;
    if (flag == "--mutants") options.mutants = size_t(value);
    else if (flag == "--skip") options.skip = size_t(value);
    else if (flag == "--jobs") options.jobs = size_t(value);
    else if (flag == "--seed") options.seed = uint32_t(value);
    else return false;
  }
  return argc % 2 == 1;
}

int mutate(const Options &options) {
  interpretCuda(); // a GPU's driver would not outlive a fork
  for (TestDevice &device : allDevices())
    if (!llvm::is_contained(kDevices, device.name) || !device.runs()) device.runs = [] { return false; };
  std::vector<Subject> subjects = subjectsOfTheSuite();
  size_t all = subjects.size();
  std::mt19937 random(options.seed);
  std::shuffle(subjects.begin(), subjects.end(), random);
  size_t first = std::min(all, options.skip / kOfEach);
  subjects.resize(std::min(all, first + (options.mutants + kOfEach - 1) / kOfEach));
  printf("%zu of %zu kernels and devices, up to %zu mutants of each\n", subjects.size() - first, all, kOfEach);
  Run run(options, std::move(subjects));
  run.all();
  return run.report() ? 0 : 1;
}

} // namespace
} // namespace llmc::conformance

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  llmc::conformance::Options options;
  if (!llmc::conformance::parse(argc, argv, options)) {
    fprintf(stderr, "usage: mutate_kernels [--mutants N] [--skip N] [--seed N] [--jobs N]\n");
    return 2;
  }
  return llmc::conformance::mutate(options);
}
