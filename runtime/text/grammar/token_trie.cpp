#include "runtime/text/grammar/token_trie.h"

#include <algorithm>

namespace llmrt::grammar {

Result<std::shared_ptr<const TokenTrie>> TokenTrie::create(const Tokenizer &tokenizer, int64_t vocabulary) {
  std::vector<std::pair<std::string, int32_t>> tokens;
  const int64_t count = std::min(vocabulary, tokenizer.vocabulary());
  for (int32_t id = 0; id < count; ++id) {
    if (tokenizer.is_special(id)) continue;
    Result<std::string> bytes = tokenizer.token_bytes(id);
    if (!bytes.ok() && bytes.status().code() == StatusCode::kUnsupported) return bytes.status();
    if (bytes.ok() && !bytes->empty() && bytes->size() <= kMaxTokenBytes) tokens.emplace_back(std::move(*bytes), id);
  }
  return of(std::move(tokens), vocabulary);
}

std::shared_ptr<const TokenTrie> TokenTrie::of(std::vector<std::pair<std::string, int32_t>> tokens,
                                               int64_t vocabulary) {
  auto out = std::make_shared<TokenTrie>();
  out->vocabulary_ = vocabulary;
  out->ends_.assign(size_t(vocabulary), 0);
  std::sort(tokens.begin(), tokens.end(), [](const auto &a, const auto &b) { return a.second < b.second; });
  size_t next = 0;
  for (int64_t id = 0; id < vocabulary; ++id) {
    if (next < tokens.size() && tokens[next].second == id) out->text_ += tokens[next++].first;
    out->ends_[size_t(id)] = uint32_t(out->text_.size());
  }
  std::sort(tokens.begin(), tokens.end());
  std::vector<uint32_t> path; // nodes from the root to the last token
  std::string_view before;
  for (const auto &[bytes, id] : tokens) {
    out->longest_ = std::max(out->longest_, bytes.size());
    size_t common = 0;
    while (common < before.size() && common < bytes.size() && before[common] == bytes[common]) ++common;
    for (; path.size() > common; path.pop_back()) out->nodes_[path.back()].skip = uint32_t(out->nodes_.size());
    for (size_t i = common; i < bytes.size(); ++i) {
      path.push_back(uint32_t(out->nodes_.size()));
      out->nodes_.push_back({0, uint32_t(out->tokens_.size()), uint16_t(i), uint8_t(bytes[i])});
    }
    out->tokens_.push_back(id);
    before = bytes;
  }
  for (uint32_t node : path) out->nodes_[node].skip = uint32_t(out->nodes_.size());
  out->nodes_.push_back({uint32_t(out->nodes_.size() + 1), uint32_t(out->tokens_.size()), 0, 0});
  return out;
}

std::string_view TokenTrie::bytes_of(int32_t id) const {
  if (id < 0 || id >= vocabulary_) return {};
  const uint32_t begin = id == 0 ? 0 : ends_[size_t(id) - 1];
  return std::string_view(text_).substr(begin, ends_[size_t(id)] - begin);
}

} // namespace llmrt::grammar
