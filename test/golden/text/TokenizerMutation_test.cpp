// Damaged tokenizer.json files and damaged tables: an error or a tokenizer that runs, never anything worse.
#include "compiler/import/tokenizer/Scores.h"
#include "test/golden/text/TokenizerFixture.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <limits>
#include <random>

namespace {

using namespace llmc::testing;

std::vector<std::string> smallTokenizers() {
  std::vector<std::filesystem::path> paths;
  for (const auto &entry : std::filesystem::directory_iterator(LLMC_SOURCE_DIR "/test/golden/tokenizers"))
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> out;
  for (const auto &path : paths) out.push_back(readFile(path));
  return out;
}

// Reads everything there is to read.
void use(const llmrt::Tokenizer &tokenizer) {
  auto ids = tokenizer.encode(mixedText(), true);
  std::vector<int32_t> some{0, 1, 2, 3, 100, 200, 255, 256, 300, 399, 1 << 20};
  if (ids.ok()) some.insert(some.end(), ids->begin(), ids->end());
  for (int32_t &id : some) id = std::max(id, 0);
  EXPECT_TRUE(tokenizer.decode(some, true).ok());
  for (int32_t id : some) {
    (void)tokenizer.token_text(id);
    (void)tokenizer.is_special(id);
  }
  (void)tokenizer.find("<s>");
}

std::string mutated(std::string text, std::mt19937 &random) {
  auto below = [&](size_t n) { return size_t(random() % std::max<size_t>(n, 1)); };
  switch (below(6)) {
  case 0: text.resize(below(text.size())); break;
  case 1: text[below(text.size())] = char(random()); break;
  case 2: text.erase(below(text.size()), below(40)); break;
  case 3: text.insert(below(text.size()), text.substr(below(text.size()), below(60))); break;
  case 4: { // another digit: ids, flags and counts that lie
    for (size_t at = below(text.size()); at < text.size(); ++at)
      if (text[at] >= '0' && text[at] <= '9') {
        text.insert(at, std::to_string(random()));
        break;
      }
    break;
  }
  default: { // another word for a value
    const char *words[] = {"null", "true", "-1", "1e999", "{}", "[]", "\"\"", "99999999999", "\"Sequence\""};
    size_t at = text.find(':', below(text.size()));
    if (at != std::string::npos) text.replace(at + 1, below(8), words[below(std::size(words))]);
  }
  }
  return text;
}

TEST(TokenizerMutation, Json) {
  std::mt19937 random(1);
  std::vector<std::string> all = smallTokenizers();
  ASSERT_FALSE(all.empty());
  int compiled = 0;
  for (int i = 0; i < 10'000; ++i) {
    CompiledTokenizer result(mutated(all[size_t(i) % all.size()], random));
    ASSERT_TRUE(result.tokenizer || !result.error.empty());
    ASSERT_FALSE(result.contradicts) << result.error;
    compiled += result.tokenizer != nullptr;
    if (result.tokenizer) use(*result.tokenizer);
  }
  EXPECT_GT(compiled, 0);
}

TEST(TokenizerMutation, Tables) {
  std::mt19937 random(2);
  int opened = 0;
  for (const std::string &json : smallTokenizers()) {
    CompiledTokenizer whole(json);
    ASSERT_TRUE(whole.tokenizer) << whole.error;
    const std::string bytes(reinterpret_cast<const char *>(whole.builder.GetBufferPointer()), whole.builder.GetSize());
    for (int i = 0; i < 420; ++i) {
      std::string damaged = bytes;
      for (int flips = 1 + int(random() % 3); flips > 0; --flips) {
        size_t at = random() % damaged.size();
        damaged[at] = random() % 2 ? char(random()) : char(damaged[at] ^ (1 << random() % 8));
      }
      auto result = openTables(reinterpret_cast<const uint8_t *>(damaged.data()), damaged.size());
      opened += result.ok();
      if (result.ok()) use(**result);
    }
  }
  EXPECT_GT(opened, 0);
}

// The message says where.
TEST(TokenizerErrors, SayWhere) {
  auto error = [](const std::string &json) { return CompiledTokenizer(json).error; };
  std::string model = R"("model":{"type":"BPE","vocab":{"a":0},"merges":[]})";
  EXPECT_EQ(error("{" + model + "}"), "");
  EXPECT_NE(error("[1").find("tokenizer.json: not JSON: byte"), std::string::npos) << error("[1");
  EXPECT_EQ(error("{}"), "tokenizer.json: \"model\" is missing");
  EXPECT_EQ(error(R"({"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}})"),
            "tokenizer.json: model.vocab, a token's id: expected a whole number, found number");
  EXPECT_EQ(error(R"({"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}})"),
            "tokenizer.json: model.vocab: two tokens have the id 0");
  EXPECT_EQ(error(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}})"),
            "tokenizer.json: model.merges[0]: a token of the merge is not in the vocabulary");
  EXPECT_EQ(error("{" + model + R"(,"normalizer":{"type":"Sequence","normalizers":[{"type":"Magic"}]}})"),
            "tokenizer.json: normalizer.normalizers[0]: unsupported: the normalizer \"Magic\"");
  std::string split = R"({"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated","invert":false})";
  EXPECT_EQ(error("{" + model + ",\"pre_tokenizer\":" + split + "}"),
            "tokenizer.json: pre_tokenizer.pattern: regular expression: a group without its ')' at character 3");
  EXPECT_EQ(error("{" + model + R"(,"version":"2.0"})"), "tokenizer.json: unsupported: the version \"2.0\"");
}

// Values of serde_json without its float_roundtrip.
TEST(UnigramScores, AreReadAsTheLibraryReadsThem) {
  using llmc::tokenizer::readScore;
  EXPECT_EQ(readScore("0"), 0.0);
  EXPECT_EQ(readScore("-2.5"), -2.5);
  EXPECT_EQ(readScore("-2.0122928619384766"), -20122928619384766.0 / 1e16);
  EXPECT_EQ(readScore("123456789012345678901234.5"), 12345678901234567890.0 * 1e4);
  EXPECT_EQ(readScore("1.5e-7"), 15.0 / 1e8);
  EXPECT_EQ(readScore("1e400"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(readScore("1e-400"), 0.0);
}

TEST(Tokenizer, Reproducible) {
  for (const std::string &json : smallTokenizers()) {
    CompiledTokenizer a(json), b(json);
    ASSERT_TRUE(a.tokenizer && b.tokenizer);
    ASSERT_EQ(a.builder.GetSize(), b.builder.GetSize());
    EXPECT_EQ(memcmp(a.builder.GetBufferPointer(), b.builder.GetBufferPointer(), a.builder.GetSize()), 0);
  }
}

TEST(Tokenizer, RefusesWhatIsNoText) {
  CompiledTokenizer compiled(smallTokenizers()[0]);
  ASSERT_TRUE(compiled.tokenizer);
  auto ids = compiled.tokenizer->encode("abc\xff", true);
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.status().message(), "the text is not UTF-8: byte 3");
  std::vector<int32_t> negative{1, -5};
  EXPECT_EQ(compiled.tokenizer->decode(negative, true).status().code(), llmrt::StatusCode::kInvalidArgument);
  std::vector<int32_t> padded{1'000'000};
  EXPECT_EQ(*compiled.tokenizer->decode(padded, true), "");
}

// For a new version of the format: LLMC_WRITE_TABLES names the folder that the tables of the golden tokenizers go to.
TEST(Tokenizer, WritesTables) {
  const char *folder = std::getenv("LLMC_WRITE_TABLES");
  if (!folder) GTEST_SKIP() << "LLMC_WRITE_TABLES is not set";
  for (const auto &entry : std::filesystem::directory_iterator(LLMC_SOURCE_DIR "/test/golden/tokenizers")) {
    if (entry.path().extension() != ".json") continue;
    CompiledTokenizer compiled(readFile(entry.path()));
    std::ofstream out(folder / entry.path().stem().concat(".tables"), std::ios::binary);
    out.write(reinterpret_cast<const char *>(compiled.builder.GetBufferPointer()), compiled.builder.GetSize());
    EXPECT_TRUE(out.good());
  }
}

// What takes other tokenizers seconds: one letter, one space, marks that all combine, a million times.
TEST(Tokenizer, LongTextTakesLinearTime) {
  for (const std::string &json : smallTokenizers()) {
    CompiledTokenizer compiled(json);
    ASSERT_TRUE(compiled.tokenizer);
    for (const char *unit : {"a", " ", "\n", "7", "\xcc\x81", "aB ", " \n"}) {
      std::string text;
      while (text.size() < 100'000) text += unit;
      EXPECT_TRUE(compiled.tokenizer->encode(text + "x", true).ok());
    }
  }
}

} // namespace
