// What endpoints that pool hidden states share.
#pragma once

#include "runtime/server/generation.h"

namespace llmrt::server {

// A request without prompts yet: pooled as the server is told to, with the fields that all such endpoints take. A model
// that gives no hidden states is a mistake of `model`.
GenerationRequest read_pooling(FieldReader &fields, const Model &model, ServerContext &context);

// There is no field `stream` here.
class UnstreamedFormat : public AnswerFormat {
public:
  std::string begin(int, const Usage &) override { return {}; }
  std::string delta(const Delta &, const Usage &) override { return {}; }
  std::string end(const Usage &) override { return {}; }
  std::string stream_error(const ApiError &) override { return {}; }
};

} // namespace llmrt::server
