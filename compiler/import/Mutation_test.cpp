// Damaged copies of real files: each gives an error or is read, inside its bounds (under ASan, to the byte).
// LLMC_MUTATIONS sets how many of each kind.
#include "compiler/import/ImportChecks.h"
#include "compiler/import/TestFiles.h"

#include <cstdlib>
#include <memory>
#include <random>

using namespace llmc;

namespace {

int mutations() {
  const char *text = std::getenv("LLMC_MUTATIONS");
  return text ? std::atoi(text) : 1000;
}

// Flips bits, overwrites, inserts, removes and repeats runs of bytes, cuts; mostly in the first `head` bytes.
std::string mutate(llvm::StringRef file, size_t head, std::mt19937 &random) {
  static constexpr char kTelling[] = {'{', '}', '[', ']', '"', ',', ':', '0', '9', '-', '\\',
                                      ' ', '\0', '\x7f', '\xff'};
  std::string out = file.str();
  for (unsigned change = random() % 4 + 1; change > 0 && !out.empty(); --change) {
    size_t at = random() % (random() % 8 ? std::min(head, out.size()) : out.size());
    size_t count = std::min<size_t>(random() % 16 + 1, out.size() - at);
    switch (random() % 6) {
    case 0: out[at] = char(out[at] ^ (1 << random() % 8)); break;
    case 1: out[at] = kTelling[random() % sizeof(kTelling)]; break;
    case 2: out.erase(at, count); break;
    case 3: out.insert(at, out.substr(at, count)); break;
    case 4: out[at] = char(random()); break;
    case 5: if (random() % 4 == 0) out.resize(at); break;
    }
  }
  return out;
}

// A copy of exactly its size on the heap.
struct Exact {
  explicit Exact(llvm::StringRef text) : bytes(new char[text.size()]), size(text.size()) {
    std::copy(text.begin(), text.end(), bytes.get());
  }
  operator llvm::StringRef() const { return {bytes.get(), size}; }
  std::unique_ptr<char[]> bytes;
  size_t size;
};

TEST(Mutation, Safetensors) {
  std::string small = safetensors(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},"b":{"dtype":"F16",)"
      R"("shape":[4],"data_offsets":[24,32]},"c":{"dtype":"BF16","shape":[2,1,2],"data_offsets":[32,40]}})",
      std::string(40, '\x3c'));
  std::string real = llvm::cantFail(readTextFile(testModel("nano-gpt-sort") + "/model.safetensors", 1 << 20)).value();
  std::mt19937 random(1);
  int accepted = 0, count = mutations();
  for (int i = 0; i < count; ++i) {
    bool useReal = i % 4 == 0;
    Exact file(mutate(useReal ? real : small, useReal ? 4000 : 230, random));
    std::string message;
    if (importSafetensorsBytes(file, &message)) ++accepted;
    else ASSERT_NE(message.find("input: "), std::string::npos);
  }
  EXPECT_GT(accepted, 0); // else the mutations reach nothing behind the first check
  EXPECT_LT(accepted, count / 2);
}

TEST(Mutation, Config) {
  std::vector<std::string> texts = {
      R"({"chat_template":[{"name":"default","template":"{{x}}"},{"name":"t","template":"y"}],"bos_token":{"content":"<s>"},)"
      R"("eos_token":"</s>","additional_special_tokens":["a",{"content":"b"}],"weight_map":{"a":"b.safetensors","c":"d"}})"};
  for (const char *name : {"/config.json", "/tokenizer_config.json", "/generation_config.json"})
    texts.push_back(llvm::cantFail(readTextFile(testModel("stories260k") + name, 1 << 20)).value());
  std::mt19937 random(2);
  int accepted = 0, count = mutations();
  for (int i = 0; i < count; ++i) {
    const std::string &text = texts[i % texts.size()];
    Exact file(mutate(text, text.size(), random));
    accepted += importConfigBytes(file);
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, count);
}

} // namespace
