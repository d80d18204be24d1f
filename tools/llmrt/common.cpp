#include "tools/llmrt/common.h"

#include "runtime/base/log.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"

#include <atomic>
#include <csignal>
#include <cstdio>

namespace llmrt::tool {

namespace {

// Signal handlers reach nothing else.
std::atomic<int> signals{0}, first_signal{0}, allowed{1};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_interrupt(int number) {
  int before = signals.fetch_add(1);
  if (before == 0)
    first_signal.store(number);
  if (before >= allowed.load())
    std::_Exit(kInterrupted);
}

} // namespace

int fail(const std::string &message) {
  fprintf(stderr, "llmrt: %s\n", message.c_str());
  return kError;
}

int fail(const Status &status) { return fail(status.message()); }

int usage(const std::string &message) {
  fail(message);
  return kUsage;
}

void catch_interrupts(int patience) {
  allowed.store(patience);
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

int interruptions() { return signals.load(); }

bool was_sigint() { return first_signal.load() == SIGINT; }

int step_until(Engine &engine, const std::function<bool()> &done) {
  while (!done()) {
    if (interrupted())
      return kInterrupted;
    Result<bool> stepped = engine.step();
    if (!stepped.ok())
      return fail(stepped.status());
    if (!*stepped && !done())
      return fail("the engine stopped before the request was complete");
  }
  return kOk;
}

Result<std::string> read_text(const std::string &path) {
  if (path != "-")
    return os::read_file(path, 1ull << 32);
  std::string out;
  char bytes[65536];
  for (size_t n; (n = fread(bytes, 1, sizeof bytes, stdin)) > 0;)
    out.append(bytes, n);
  if (ferror(stdin))
    return Status(StatusCode::kInvalidArgument, "standard input cannot be read");
  return out;
}

Result<std::vector<int32_t>> parse_ids(std::string_view text) {
  static constexpr std::string_view kBetween = ", \t\r\n";
  std::vector<int32_t> out;
  for (size_t at = text.find_first_not_of(kBetween); at != text.npos; at = text.find_first_not_of(kBetween, at)) {
    size_t end = std::min(text.find_first_of(kBetween, at), text.size());
    int32_t id;
    if (!parse_integer(text.substr(at, end - at), id))
      return Status(StatusCode::kInvalidArgument,
                    "\"" + std::string(text.substr(at, std::min<size_t>(end - at, 40))) + "\" is not a token id");
    out.push_back(id);
    at = end;
  }
  return out;
}

Result<std::vector<int32_t>> read_ids(const std::string &argument) {
  if (argument.empty() || argument[0] != '@')
    return parse_ids(argument);
  Result<std::string> text = read_text(argument.substr(1));
  if (!text.ok())
    return text.status();
  return parse_ids(*text);
}

Result<std::vector<std::vector<int32_t>>> read_id_lines(const std::string &path) {
  Result<std::string> text = read_text(path);
  if (!text.ok())
    return text.status();
  std::vector<std::vector<int32_t>> out;
  for (size_t at = 0; at < text->size();) {
    size_t end = std::min(text->find('\n', at), text->size());
    Result<std::vector<int32_t>> ids = parse_ids(std::string_view(*text).substr(at, end - at));
    if (!ids.ok())
      return Status(StatusCode::kInvalidArgument, path + ", line " + std::to_string(out.size() + 1) + ": " +
                                                      ids.status().message());
    if (ids->empty() && end == text->size())
      break;
    if (ids->empty())
      return Status(StatusCode::kInvalidArgument, path + ", line " + std::to_string(out.size() + 1) + " has no ids");
    out.push_back(std::move(*ids));
    at = end + 1;
  }
  return out;
}

bool print(std::string_view text) { return fwrite(text.data(), 1, text.size(), stdout) == text.size(); }

bool flush_stdout() {
  if (fflush(stdout) == 0 && !ferror(stdout))
    return true;
  fail("cannot write to standard output");
  return false;
}

} // namespace llmrt::tool
