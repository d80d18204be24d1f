// Chat templates against what Jinja gives (test/golden/make_templates.py). The environment variable
// LLMC_GOLDEN_TEMPLATES names a folder with further cases, for templates that are not in this repository.
#include "runtime/text/chat_template.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace {

using nlohmann::ordered_json;

std::string readFile(const std::filesystem::path &path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class Checker {
public:
  explicit Checker(std::filesystem::path folder) : folder(std::move(folder)) {}

  void run() {
    std::ifstream in(folder / "cases.jsonl");
    ASSERT_TRUE(in.is_open()) << folder;
    for (std::string line; std::getline(in, line);) {
      ordered_json row = ordered_json::parse(line);
      if (row.contains("now")) limits.now = row["now"];
      else if (row.contains("case")) variables[row["case"]] = row["variables"];
      else check(row);
    }
    for (const auto &[name, count] : counts)
      if (count.second != count.first) std::printf("%-64s %d of %d agree\n", name.c_str(), count.second, count.first);
    std::printf("%d of %d renderings agree, %zu templates\n", agreeing, total, counts.size());
    EXPECT_GT(total, 0);
    EXPECT_EQ(agreeing, total);
  }

private:
  void check(const ordered_json &row) {
    bool isSnippet = row.contains("source");
    std::string name = isSnippet ? row["source"] : row["template"];
    std::string source = isSnippet ? name : readFile(folder / name);
    const ordered_json &given = variables.at(row["of"]);
    bool agrees = same(name + (isSnippet ? "" : " of " + std::string(row["of"])), source, given, row);
    ++total;
    agreeing += agrees;
    ++counts[isSnippet ? "snippets" : name].first;
    counts[isSnippet ? "snippets" : name].second += agrees;
  }

  bool same(const std::string &name, const std::string &source, const ordered_json &given, const ordered_json &row) {
    auto parsed = llmrt::ChatTemplate::parse(source);
    llmrt::Result<std::string> text =
        parsed.ok() ? (*parsed)->render(given, limits) : llmrt::Result<std::string>(parsed.status());
    if (row.contains("refused") ? !text.ok() : text.ok() && *text == row["expected"].get<std::string>()) return true;
    if (++shown > 20) return false;
    std::string got = text.ok() ? ordered_json(*text).dump() : "refused: " + text.status().message();
    bool refused = row.contains("refused");
    std::string wanted = refused ? "refused: " + row["refused"].get<std::string>() : row["expected"].dump();
    size_t at = 0;
    while (at < got.size() && at < wanted.size() && got[at] == wanted[at]) ++at;
    at = at > 60 ? at - 60 : 0;
    ADD_FAILURE() << name << "\n  gives     ..." << got.substr(at, 300) << "\n  should be ..."
                  << wanted.substr(at, 300);
    return false;
  }

  std::filesystem::path folder;
  llmrt::RenderLimits limits;
  std::map<std::string, ordered_json> variables;
  std::map<std::string, std::pair<int, int>> counts; // all, agreeing
  int total = 0, agreeing = 0, shown = 0;
};

class TemplateGolden : public testing::Test {
protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(TemplateGolden, Committed) { Checker(LLMC_SOURCE_DIR "/test/golden/templates").run(); }

TEST_F(TemplateGolden, Snippets) { Checker(LLMC_SOURCE_DIR "/test/golden/templates/snippets").run(); }

TEST_F(TemplateGolden, External) {
  const char *folder = std::getenv("LLMC_GOLDEN_TEMPLATES");
  if (!folder) GTEST_SKIP() << "LLMC_GOLDEN_TEMPLATES is not set";
  Checker(folder).run();
}

} // namespace
