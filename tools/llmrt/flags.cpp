#include "tools/llmrt/flags.h"

#include "runtime/base/text.h"
#include "runtime/session/version.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <cstdio>

namespace llmrt::tool {

namespace {

class CliFlags : public Flags {
public:
  explicit CliFlags(CLI::App &app) : app_(app) {}

  void text(const char *names, std::string &to, const char *help) override {
    one(names, help, [&to](const std::string &value) {
      to = value;
      return true;
    });
  }
  void texts(const char *names, std::vector<std::string> &to, const char *help) override {
    many(names, help, [&to](const std::vector<std::string> &values) {
      to = values;
      return true;
    });
  }
  void integer(const char *names, int64_t &to, const char *help) override {
    one(names, help, [&to](const std::string &value) { return parse_count(value, to); });
  }
  void integers(const char *names, std::vector<int64_t> &to, const char *help) override {
    many(names, help, [&to](const std::vector<std::string> &values) {
      to.clear();
      for (const std::string &list : values)
        for (size_t at = 0; at <= list.size();) {
          size_t end = std::min(list.find(',', at), list.size());
          int64_t value;
          if (!parse_count(std::string_view(list).substr(at, end - at), value))
            return false;
          to.push_back(value);
          at = end + 1;
        }
      return true;
    });
  }
  void number(const char *names, double &to, const char *help) override {
    one(names, help, [&to](const std::string &value) { return parse_number(value, to); });
  }
  void flag(const char *names, bool &to, const char *help) override {
    add_environment(app_.add_flag_function(names, [&to](std::int64_t count) { to = count > 0; }, help));
  }
  void switched(const char *name, bool &to, const char *help) override {
    std::string names = "--enable-" + std::string(name) + ",!--no-enable-" + name;
    add_environment(app_.add_flag_function(names, [&to](std::int64_t count) { to = count > 0; }, help));
  }
  void positional(const char *name, std::string &to, const char *help) override {
    app_.add_option_function<std::string>(name, [&to](const std::string &value) { to = value; }, help);
  }
  void positionals(const char *name, std::vector<std::string> &to, const char *help) override {
    app_.add_option_function<std::vector<std::string>>(
        name, [&to](const std::vector<std::string> &values) { to = values; }, help);
  }
  bool given(const char *name) const override {
    const CLI::Option *option = app_.get_option_no_throw(name);
    return option && option->count() > 0;
  }

private:
  template <typename Parse> void one(const char *names, const char *help, Parse parse) {
    auto *option = app_.add_option_function<std::string>(
        names,
        [parse, names](const std::string &value) {
          if (!parse(value))
            throw CLI::ValidationError(names, "\"" + value + "\" is not a number that fits");
        },
        help);
    add_environment(option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast));
  }
  template <typename Parse> void many(const char *names, const char *help, Parse parse) {
    auto *option = app_.add_option_function<std::vector<std::string>>(
        names,
        [parse, names](const std::vector<std::string> &values) {
          if (!parse(values))
            throw CLI::ValidationError(names, "not a list of numbers");
        },
        help);
    add_environment(option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
  }
  static void add_environment(CLI::Option *option) {
    if (option->get_lnames().empty())
      return;
    std::string name = "LLMRT_ARG_";
    for (char c : option->get_lnames().front())
      name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    option->envname(name);
  }

  CLI::App &app_;
};

} // namespace

int run_command_line(const std::vector<Verb> &verbs, int argc, char **argv) {
  std::vector<std::string> arguments = normalized(argc, argv);
  if (std::string missing = refused(arguments); !missing.empty()) {
    fprintf(stderr, "llmrt: %s is not there yet in this version\n", missing.c_str());
    return 2;
  }
  CLI::App app("Runs what llmc compiled: one artifact, many requests.", "llmrt");
  app.set_version_flag("--version", std::string("llmrt ") + kVersion);
  app.require_subcommand(1);
  std::vector<std::unique_ptr<CliFlags>> flags;
  std::vector<std::pair<CLI::App *, std::function<int()>>> runs;
  for (const Verb &verb : verbs) {
    CLI::App *sub = app.add_subcommand(verb.name, verb.help);
    flags.push_back(std::make_unique<CliFlags>(*sub));
    runs.emplace_back(sub, verb.setup(*flags.back()));
  }
  try {
    std::reverse(arguments.begin(), arguments.end()); // CLI11 takes them from the back
    app.parse(arguments);
  } catch (const CLI::Success &help) {
    // --help of a verb is the verb's, --version the program's
    app.exit(help);
    return 0;
  } catch (const CLI::ParseError &error) {
    fprintf(stderr, "llmrt: %s\nRun llmrt --help, or llmrt VERB --help.\n", error.what());
    return 2;
  }
  for (auto &[sub, run] : runs)
    if (sub->parsed())
      return run();
  return 2;
}

} // namespace llmrt::tool
