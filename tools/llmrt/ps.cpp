// llmrt ps: what a running server holds, from its GET /v1/models.
#include "runtime/base/text.h"
#include "runtime/server/json.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/load_client.h"
#include "tools/llmrt/verbs.h"

#include <algorithm>
#include <array>

namespace llmrt::tool {

namespace {

using server::Json;

struct PsFlags {
  std::string url = "http://127.0.0.1:8000", api_key;
  bool json = false;
};

constexpr std::array<const char *, 9> kColumns = {"MODEL", "STATUS",  "DEVICE",  "MAPPED", "PRIVATE",
                                                  "KV",    "KV USED", "RUNNING", "WAITING"};
using Row = std::array<std::string, kColumns.size()>;

// http://HOST[:PORT][/PATH], the form that `serve` prints and clients have as their base URL.
Result<LoadTarget> read_url(const PsFlags &flags) {
  static constexpr std::string_view kScheme = "http://", kVersion = "/v1";
  auto wrong = [&] {
    return Status(StatusCode::kInvalidArgument, "--url " + flags.url + ": must be http://HOST:PORT");
  };
  std::string_view rest = flags.url;
  if (rest.substr(0, kScheme.size()) != kScheme)
    return wrong();
  rest.remove_prefix(kScheme.size());
  LoadTarget out;
  out.api_key = flags.api_key;
  size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view place = rest.substr(0, slash), path = rest.substr(slash);
  while (!path.empty() && path.back() == '/')
    path.remove_suffix(1);
  if (path.size() >= kVersion.size() && path.substr(path.size() - kVersion.size()) == kVersion)
    path.remove_suffix(kVersion.size());
  out.path = std::string(path) + "/v1/models";
  size_t colon = place.rfind(':');
  if (colon != place.npos && place.find(']', colon) == place.npos) {
    int32_t port = 0;
    if (!parse_integer(place.substr(colon + 1), port) || port < 1 || port > 65535)
      return wrong();
    out.port = port;
    place = place.substr(0, colon);
  } else {
    out.port = 80;
  }
  if (place.size() > 2 && place.front() == '[' && place.back() == ']')
    place = place.substr(1, place.size() - 2);
  if (place.empty())
    return wrong();
  out.host = place;
  return out;
}

// Of other servers that speak OpenAI's API there is no more than names.
std::string text_of(const Json &status, const char *name, std::string (*show)(double)) {
  auto found = status.find(name);
  return found != status.end() && found->is_number() ? show(found->get<double>()) : "-";
}
std::string bytes_text(double value) { return format_bytes(static_cast<uint64_t>(std::max(value, 0.0))); }
std::string count_text(double value) { return format_number(value); }
std::string share_text(double value) { return format_fixed(100 * value, 1) + "%"; }

std::string string_of(const Json &object, const char *name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "-";
}

Row row_of(const Json &entry) {
  const Json nothing = Json::object();
  auto found = entry.find("status");
  const Json &status = found != entry.end() && found->is_object() ? *found : nothing;
  std::string state = string_of(status, "value");
  if (status.contains("failed"))
    state += " (failed)";
  return {string_of(entry, "id"),
          state,
          string_of(status, "device"),
          text_of(status, "mapped_bytes", bytes_text),
          text_of(status, "private_bytes", bytes_text),
          text_of(status, "kv_cache_bytes", bytes_text),
          text_of(status, "kv_cache_usage", share_text),
          text_of(status, "num_requests_running", count_text),
          text_of(status, "num_requests_waiting", count_text)};
}

std::string table_of(const Json &models) {
  Row head;
  std::copy(kColumns.begin(), kColumns.end(), head.begin());
  std::vector<Row> rows = {head};
  std::string errors;
  for (const Json &entry : models) {
    rows.push_back(row_of(entry));
    if (std::string error = string_of(entry.value("status", Json::object()), "error"); error != "-")
      errors += rows.back()[0] + ": " + error + "\n";
  }
  std::array<size_t, kColumns.size()> widths{};
  for (const Row &row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (const Row &row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    out += std::string(line, 0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out + errors;
}

std::string json_of(const Json &models) {
  Json out{{"models", Json::array()}};
  for (const Json &entry : models) {
    Json one{{"model", string_of(entry, "id")}};
    auto status = entry.find("status");
    if (status != entry.end() && status->is_object())
      for (auto it = status->begin(); it != status->end(); ++it)
        one[it.key() == "value" ? "status" : it.key()] = it.value();
    out["models"].push_back(std::move(one));
  }
  return server::dump_json(out) + "\n";
}

int ps(const PsFlags &flags) {
  Result<LoadTarget> target = read_url(flags);
  if (!target.ok())
    return usage(target.status().message());
  Result<std::string> body = fetch(*target, target->path);
  if (!body.ok())
    return fail(body.status().message() + (body.status().code() == StatusCode::kNotFound
                                               ? "\nStart one with `llmrt serve FILE`, or say with --url where it is."
                                               : ""));
  Result<Json> json = server::parse_json(*body);
  bool listed = json.ok() && json->is_object() && json->contains("data") && (*json)["data"].is_array();
  for (size_t i = 0; listed && i < (*json)["data"].size(); ++i)
    listed = (*json)["data"][i].is_object();
  if (!listed)
    return fail(flags.url + " answers, but not with a list of models: is it a server of models?");
  const Json &models = (*json)["data"];
  return print(flags.json ? json_of(models) : table_of(models)) && flush_stdout() ? kOk : kError;
}

} // namespace

std::function<int()> setup_ps(Flags &flags) {
  auto to = std::make_shared<PsFlags>();
  flags.text("--url", to->url, "the server: http://HOST:PORT");
  flags.text("--api-key", to->api_key, "the server's, if it wants one");
  flags.flag("--json", to->json, "for scripts");
  return [to] { return ps(*to); };
}

} // namespace llmrt::tool
