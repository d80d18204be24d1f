// A verb's flags. CLI11 does the parsing, in flags.cpp alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::tool {

// Names are written "-t,--threads". What is wrong is said on stderr and ends with exit code 2.
class Flags {
public:
  virtual ~Flags() = default;
  virtual void text(const char *names, std::string &to, const char *help) = 0;
  virtual void texts(const char *names, std::vector<std::string> &to, const char *help) = 0; // may be repeated
  // 4096, 4k (thousand), 4K (1024); likewise m, M, g, G.
  virtual void integer(const char *names, int64_t &to, const char *help) = 0;
  virtual void integers(const char *names, std::vector<int64_t> &to, const char *help) = 0; // comma-separated
  virtual void number(const char *names, double &to, const char *help) = 0;
  virtual void flag(const char *names, bool &to, const char *help) = 0;
  // Sets `to` with --enable-NAME, clears it with --no-enable-NAME.
  virtual void switched(const char *name, bool &to, const char *help) = 0;
  virtual void positional(const char *name, std::string &to, const char *help) = 0;
  virtual void positionals(const char *name, std::vector<std::string> &to, const char *help) = 0; // any number
  // Was it given, on the command line or in the environment?
  virtual bool given(const char *name) const = 0;
};

struct Verb {
  const char *name, *help;
  // Adds the verb's flags; what it returns runs the verb and gives the exit code.
  std::function<int()> (*setup)(Flags &);
};

// Parses and runs. `-` and `_` are alike in flags' names; LLMRT_ARG_<FLAG> in the environment sets any flag.
int run_command_line(const std::vector<Verb> &verbs, int argc, char **argv);

// "4k" and the like; false if it is no such number.
bool parse_count(std::string_view text, int64_t &value);
// What stands before parsing: '_' in names to '-', -np to --max-num-seqs.
std::vector<std::string> normalized(int argc, char **argv);
// A flag of the conventions that is not there yet; empty: none.
std::string refused(const std::vector<std::string> &arguments);

} // namespace llmrt::tool
