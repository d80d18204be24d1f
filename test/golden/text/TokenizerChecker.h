// One tokenizer against vectors of the Python library; needs the runtime only.
#pragma once

#include "runtime/text/tokenizer.h"
#include "gtest/gtest.h"

#include <istream>
#include <nlohmann/json.hpp>

namespace llmc::testing {

using nlohmann::json;
using Ids = std::vector<int32_t>;

class TokenizerChecker {
public:
  explicit TokenizerChecker(const llmrt::Tokenizer &tokenizer) : tokenizer(tokenizer) {}

  // The rest of a file of vectors, after its first line.
  void lines(std::istream &in, const std::string &name) {
    for (std::string text; std::getline(in, text);) line(json::parse(text));
    std::printf("%-24s %d of %d strings agree\n", name.c_str(), agreeing, total);
    EXPECT_GT(total, 0);
    EXPECT_EQ(agreeing, total);
  }

private:
  void line(const json &row) {
    ++total;
    bool agrees = true;
    Ids ids = row.contains("random") ? row["random"].get<Ids>() : row["ids"].get<Ids>();
    std::string text = row.value("text", "");
    if (row.contains("text")) {
      agrees &= same("ids", text, tokenizer.encode(text, true), ids);
      agrees &= same("plain ids", text, tokenizer.encode(text, false), row.value("plain", ids));
    }
    if (!ids.empty()) {
      std::string name = json(ids).dump(), decoded = row.value("decoded", text);
      agrees &= same("decoded", name, tokenizer.decode(ids, true), decoded);
      agrees &= same("shown", name, tokenizer.decode(ids, false), row.value("shown", decoded));
      agrees &= sameStreamed(ids, decoded);
    }
    agreeing += agrees;
  }

  template <typename T>
  bool same(const char *what, const std::string &of, llmrt::Result<T> result, const T &expected) {
    if (result.ok() && *result == expected) return true;
    if (++shown > 5) return false;
    std::string got = result.ok() ? json(*result).dump(-1, ' ', false, json::error_handler_t::replace)
                                  : result.status().message();
    ADD_FAILURE() << what << " of " << json(of).dump() << "\n  are " << got << "\n  not " << json(expected).dump();
    return false;
  }

  bool sameStreamed(const Ids &ids, const std::string &expected) {
    llmrt::StreamDecoder stream(tokenizer, true);
    std::string text;
    for (int32_t id : ids) {
      std::string piece = stream.push(id);
      EXPECT_NO_THROW((void)json(piece).dump()) << "half a character";
      text += piece;
    }
    text += stream.finish();
    return same("streamed", json(ids).dump(), llmrt::Result<std::string>(text), expected);
  }

  const llmrt::Tokenizer &tokenizer;
  int total = 0, agreeing = 0, shown = 0;
};

} // namespace llmc::testing
