// A tokenizer.json compiled, verified and opened: what tests and fuzz targets of tokenizers begin with.
#pragma once

#include "compiler/import/tokenizer/Tokenizer.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/tokenizer_verify.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace llmc::testing {

inline std::string readFile(const std::filesystem::path &path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Verifies tables as whoever opens an artifact does, and opens them.
inline llmrt::Result<std::unique_ptr<llmrt::Tokenizer>> openTables(const uint8_t *bytes, size_t size) {
  flatbuffers::Verifier verifier(bytes, size, 64, 10'000'000);
  if (!verifier.VerifyBuffer<llmrt::schema::Tokenizer>(nullptr))
    return llmrt::Status(llmrt::StatusCode::kCorrupt, "no flatbuffer");
  const auto *tables = flatbuffers::GetRoot<llmrt::schema::Tokenizer>(bytes);
  if (llmrt::Status status = llmrt::verify_tokenizer(*tables, 0); !status.ok()) return status;
  return llmrt::Tokenizer::create(*tables);
}

// The tokenizer and the flatbuffer it lives in.
struct CompiledTokenizer {
  flatbuffers::FlatBufferBuilder builder;
  std::unique_ptr<llmrt::Tokenizer> tokenizer; // null where it could not be compiled
  std::string error;
  bool contradicts = false; // llmc wrote it and the verifier refuses it: our own mistake

  explicit CompiledTokenizer(const std::string &json) {
    auto offset = buildTokenizer(json, builder);
    if (!offset) {
      error = llvm::toString(offset.takeError());
      return;
    }
    builder.Finish(*offset);
    auto opened = openTables(builder.GetBufferPointer(), builder.GetSize());
    if (opened.ok()) tokenizer = *std::move(opened);
    else error = opened.status().message();
    contradicts = !tokenizer;
  }
};

// Text that meets every part of a tokenizer.
inline std::string mixedText() {
  return "Hello, World! I'm <s>here</s>  12345 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x91\x8b e\xcc\x81\r\n\t[CLS] x [MASK] "
         "<|endoftext|> Word0 [Tok1] \xea\xb0\x80 A\xcc\x8a\xcc\xa3 ABC def-ghi 3.14 \xe2\x96\x81";
}

} // namespace llmc::testing
