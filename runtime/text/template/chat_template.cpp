#include "runtime/text/chat_template.h"

#include "runtime/text/normal/utf8.h"
#include "runtime/text/template/ast.h"
#include "runtime/text/template/interpreter.h"

#include <nlohmann/json.hpp>

namespace llmrt {

namespace {

constexpr size_t kMostSource = 4 << 20; // bytes; the largest real templates have 20 KB

Status status_of(const chat::TemplateError &error) {
  switch (error.kind) {
  case chat::TemplateError::Kind::Unsupported:
    return Status(StatusCode::kUnsupported, std::string("chat template: ") + error.what());
  case chat::TemplateError::Kind::Exhausted: return Status(StatusCode::kExhausted, error.what());
  default: return Status(StatusCode::kInvalidArgument, error.what());
  }
}

class Template : public ChatTemplate {
public:
  explicit Template(chat::Body body) : body_(std::move(body)) {}

  Result<std::string> render(const nlohmann::ordered_json &variables, const RenderLimits &limits) const override {
    if (!variables.is_object())
      return Status(StatusCode::kInvalidArgument, "the template's variables must be a JSON object");
    try {
      return chat::Interpreter(variables, limits).run(body_);
    } catch (const chat::TemplateError &error) {
      return status_of(error);
    }
  }

private:
  const chat::Body body_;
};

} // namespace

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::parse(std::string_view source) {
  if (source.size() > kMostSource)
    return Status(StatusCode::kInvalidArgument, "a chat template of more than 4 MiB; is it one?");
  if (const size_t at = utf8_invalid_at(source); at != std::string_view::npos)
    return Status(StatusCode::kInvalidArgument, "the chat template is not UTF-8: byte " + std::to_string(at));
  try {
    return std::unique_ptr<ChatTemplate>(std::make_unique<Template>(chat::parse_template(source)));
  } catch (const chat::TemplateError &error) {
    const Status status = status_of(error);
    return Status(status.code(), "chat template: " + std::string(error.what()));
  }
}

} // namespace llmrt
