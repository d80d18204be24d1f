#include "runtime/capi/handles.h"

using namespace llmrt;
using namespace llmrt::capi;

// Copies what fits nowhere but whole.
template <typename T>
static llmrt_code give(const T *from, size_t count, T *to, size_t capacity, size_t *stored, llmrt_error *error) {
  *stored = count;
  if (count > capacity || (count > 0 && !to))
    return report(LLMRT_TOO_SMALL, "the buffer takes " + std::to_string(capacity) + ", " + std::to_string(count) +
                                       " are needed", error);
  if (count > 0)
    std::memcpy(to, from, count * sizeof(T));
  return LLMRT_OK;
}

extern "C" llmrt_code llmrt_tokenize(const llmrt_model *model, const char *text, size_t length, int32_t add_special,
                                     int32_t *ids, size_t capacity, size_t *count, llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || (!text && length > 0) || !count)
      return missing("model, text and count", error);
    if (Status status = model->model->need_tokenizer(); !status.ok())
      return report(status, error);
    Result<std::vector<int32_t>> out =
        model->model->tokenizer->encode(std::string_view(text ? text : "", length), add_special != 0);
    return out.ok() ? give(out->data(), out->size(), ids, capacity, count, error) : report(out.status(), error);
  });
}

extern "C" llmrt_code llmrt_detokenize(const llmrt_model *model, const int32_t *ids, size_t count,
                                       int32_t skip_special, char *text, size_t capacity, size_t *length,
                                       llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || (!ids && count > 0) || !length)
      return missing("model, ids and length", error);
    if (Status status = model->model->need_tokenizer(); !status.ok())
      return report(status, error);
    Result<std::string> out = model->model->tokenizer->decode({ids, count}, skip_special != 0);
    return out.ok() ? give(out->data(), out->size(), text, capacity, length, error) : report(out.status(), error);
  });
}

extern "C" llmrt_code llmrt_render_chat(const llmrt_model *model, const char *variables_json, size_t json_length,
                                        char *text, size_t capacity, size_t *length, llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || !variables_json || !length)
      return missing("model, variables_json and length", error);
    auto variables =
        nlohmann::ordered_json::parse(variables_json, variables_json + json_length, nullptr, false);
    if (!variables.is_object())
      return report(LLMRT_INVALID_ARGUMENT, "variables_json is not a JSON object", error);
    Result<std::string> out = model->model->render_chat(variables);
    return out.ok() ? give(out->data(), out->size(), text, capacity, length, error) : report(out.status(), error);
  });
}
