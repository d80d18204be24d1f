// What a token costs under a grammar: one mask and one step, along a text that the grammar allows.
//   bench_grammar                         a made-up vocabulary of 128 Ki tokens
//   BENCH_ARTIFACT=FILE bench_grammar     the tokenizer of an artifact
// cold: nothing is known of the grammar's states but what compiling finds out. warm: the text has been gone through once.
#include "runtime/session/model.h"
#include "runtime/text/grammar/gbnf.h"
#include "runtime/text/grammar/json_schema.h"
#include "runtime/text/grammar/matcher.h"
#include "runtime/text/grammar/regex.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <map>
#include <random>

namespace llmrt::grammar {
namespace {

constexpr int32_t kVocabulary = 128 << 10;

// Bytes, words with and without a space before them, runs of spaces, numbers, and pieces of JSON.
std::shared_ptr<const TokenTrie> synthetic_trie() {
  std::mt19937 random(1);
  std::map<std::string, int32_t> tokens;
  auto add = [&](const std::string &text) { tokens.emplace(text, int32_t(tokens.size())); };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, char(byte)));
  for (int count = 2; count <= 80; ++count) add(std::string(size_t(count), ' '));
  for (int number = 0; number < 1000; ++number) add(std::to_string(number));
  for (const char *open : {"\"", "{\"", "[\"", ",\"", ", \"", "\",\"", "\", \"", "\":\"", "\": \"", "\":", "\": ", "\"}",
                           "\"]", "}", "},{\"", "}}", "]}", "{}", "[]", "\\n", "\\\"", "\n  ", "\n    \""})
    add(open);
  const std::string letters = "eeeeetttaaooiinnsshhrrddllucmwfgypbvkxqjz";
  const char *wide[] = {"\xc3\xa9", "\xd0\xb0", "\xe4\xb8\xad", "\xf0\x9f\x98\x80"};
  while (tokens.size() < size_t(kVocabulary)) {
    std::string word = random() % 2 ? " " : "";
    if (random() % 12 == 0) word = "\"";
    for (size_t i = random() % 8 + 1; i > 0; --i) {
      if (random() % 40 == 0) word += wide[random() % 4];
      else word += letters[random() % letters.size()];
    }
    if (random() % 5 == 0) word[0] = char(word[0] >= 'a' ? word[0] - 32 : word[0]);
    if (random() % 30 == 0) word += "\":,.}]"[random() % 6];
    add(word);
  }
  return TokenTrie::of({tokens.begin(), tokens.end()}, kVocabulary);
}

std::shared_ptr<const TokenTrie> trie() {
  static const std::shared_ptr<const TokenTrie> made = [] {
    const char *artifact = getenv("BENCH_ARTIFACT");
    if (!artifact) return synthetic_trie();
    ModelOptions options;
    options.path = artifact;
    options.text_only = true;
    auto model = Model::open(options);
    if (!model.ok() || !(*model)->grammars) abort();
    return *(*model)->grammars->trie();
  }();
  return made;
}

// Longest match from the left.
std::vector<int32_t> tokens_of(std::string_view text) {
  std::map<std::string_view, int32_t> ids;
  for (int32_t id = 0; id < trie()->vocabulary(); ++id) ids.emplace(trie()->bytes_of(id), id);
  std::vector<int32_t> out;
  while (!text.empty()) {
    size_t length = std::min<size_t>(text.size(), 64);
    while (length > 1 && !ids.contains(text.substr(0, length))) --length;
    out.push_back(ids.at(text.substr(0, length)));
    text.remove_prefix(length);
  }
  return out;
}

struct Case {
  const char *name;
  Result<Grammar> (*make)();
  std::string (*text)();
};

Result<Grammar> order_schema() {
  return json_schema_grammar(nlohmann::ordered_json::parse(R"({"type":"object","required":["id","customer","items"],
    "properties":{"id":{"type":"integer","minimum":1},"customer":{"type":"object","required":["name","email"],
    "properties":{"name":{"type":"string","maxLength":200},"email":{"type":"string","format":"email"},
    "vip":{"type":"boolean"}}},"items":{"type":"array","minItems":1,"items":{"type":"object","required":["sku","price"],
    "properties":{"sku":{"type":"string","pattern":"^[A-Z]{3}-[0-9]{4}$"},"price":{"type":"number"},
    "note":{"type":"string"},"kind":{"enum":["book","toy","tool"]}}}}}})"));
}

std::string order_text() {
  std::string text = R"({"id": 4711, "customer": {"name": "Ada of the long name", "email": "ada@example.org", "vip": true},)"
                     R"( "items": [)";
  for (int i = 0; i < 8; ++i)
    text += std::string(i ? ", " : "") +
            R"({"sku": "ABC-1234", "price": 12.50, "note": "handle with care, it \"breaks\" easily", "kind": "toy"})";
  return text + "]}";
}

std::string any_json_text() {
  return R"({"a": [1, 2, {"b": "some text that goes on for a while", "c": [true, false, null]}], "d": {"e": {"f": "g"}}})";
}

const Case kCases[] = {
    {"schema", order_schema, order_text},
    {"any_json", [] { return json_object_grammar(); }, any_json_text},
    {"gbnf", [] { return gbnf_grammar("root ::= line+\nline ::= name \" = \" expr \";\\n\"\nname ::= [a-z]+\n"
                                      "expr ::= term ([-+*/] term)*\nterm ::= name | [0-9]+ | \"(\" expr \")\""); },
     [] {
       std::string text;
       for (int i = 0; i < 12; ++i) text += "total = (price+tax)*12-(a/(b+c));\n";
       return text;
     }},
    {"regex", [] { return regex_grammar("([A-Z][a-z]+ ){3,}[0-9]{4}-[0-9]{2}"); },
     [] { return std::string("Some Words That Start With Capitals 2024-12"); }}};

std::shared_ptr<CompiledGrammar> compiled(const Case &which) {
  auto grammar = CompiledGrammar::create(*which.make(), trie());
  if (!grammar.ok()) abort();
  (*grammar)->warm(4 << 20);
  return *grammar;
}

void follow(const std::shared_ptr<CompiledGrammar> &grammar, const std::vector<int32_t> &ids) {
  Matcher matcher(grammar, {});
  for (int32_t id : ids) {
    benchmark::DoNotOptimize(matcher.mask().ok());
    if (!matcher.accept(id).ok()) abort(); // the text must be in the language
  }
}

void masks(benchmark::State &state, const Case &which, bool warm) {
  const std::vector<int32_t> ids = tokens_of(which.text());
  auto grammar = compiled(which);
  follow(grammar, ids);
  for (auto _ : state) {
    if (!warm) {
      state.PauseTiming();
      grammar = compiled(which);
      state.ResumeTiming();
    }
    follow(grammar, ids);
  }
  state.counters["a_token"] = benchmark::Counter(double(ids.size()) * double(state.iterations()),
                                                 benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["tokens"] = double(ids.size());
}

void compile(benchmark::State &state, const Case &which) {
  for (auto _ : state) benchmark::DoNotOptimize(compiled(which));
}

void vocabulary(benchmark::State &state) {
  for (auto _ : state) benchmark::DoNotOptimize(synthetic_trie());
}

} // namespace

void add_all() {
  for (const Case &which : kCases) {
    const std::string name = which.name;
    benchmark::RegisterBenchmark(("warm/" + name).c_str(), masks, which, true)->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark(("cold/" + name).c_str(), masks, which, false)->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark(("compile/" + name).c_str(), compile, which)->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("vocabulary", vocabulary)->Unit(benchmark::kMillisecond);
}

} // namespace llmrt::grammar

int main(int argc, char **argv) {
  llmrt::grammar::add_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
