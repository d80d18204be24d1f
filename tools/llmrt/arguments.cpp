// What is done to a command line before it is parsed.
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "tools/llmrt/flags.h"

#include <algorithm>

namespace llmrt::tool {

namespace {

constexpr const char *kMissingFlags[] = {"--enable-lora",      "--lora-modules",           "--lora",
                                         "--speculative-config", "--config",
                                         "--gpu-memory-utilization",
                                         "--no-enable-chunked-prefill"};

std::string environment_name(std::string_view flag) {
  std::string out = "LLMRT_ARG_";
  for (char c : flag.substr(2))
    out += c == '-' ? '_' : (c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return out;
}

} // namespace

bool parse_count(std::string_view text, int64_t &value) {
  int64_t factor = 1;
  static constexpr struct {
    char suffix;
    int64_t factor;
  } kSuffixes[] = {{'k', 1000},      {'m', 1000000},          {'g', 1000000000},
                   {'K', 1 << 10},   {'M', 1 << 20},          {'G', 1 << 30}};
  for (const auto &entry : kSuffixes)
    if (!text.empty() && text.back() == entry.suffix) {
      factor = entry.factor;
      text.remove_suffix(1);
      break;
    }
  int64_t number;
  return parse_integer(text, number) && !__builtin_mul_overflow(number, factor, &value);
}

std::vector<std::string> normalized(int argc, char **argv) {
  std::vector<std::string> out;
  bool flags_end = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--")
      flags_end = true;
    if (!flags_end && argument == "-np")
      argument = "--max-num-seqs";
    if (!flags_end && argument.size() > 2 && argument.compare(0, 2, "--") == 0) {
      auto end = argument.begin() + static_cast<std::ptrdiff_t>(std::min(argument.find('='), argument.size()));
      std::replace(argument.begin(), end, '_', '-');
    }
    out.push_back(std::move(argument));
  }
  return out;
}

std::string refused(const std::vector<std::string> &arguments) {
  for (const char *flag : kMissingFlags) {
    for (const std::string &argument : arguments) {
      if (argument == "--")
        break;
      if (argument.substr(0, argument.find('=')) == flag)
        return flag;
    }
    std::string name = environment_name(flag);
    if (!os::environment(name.c_str()).empty())
      return name;
  }
  return {};
}

} // namespace llmrt::tool
