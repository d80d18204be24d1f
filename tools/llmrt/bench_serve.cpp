// llmrt bench-serve: the load and the figures of `vllm bench serve`.
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/engine/philox.h"
#include "runtime/server/json.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/load_report.h"
#include "tools/llmrt/verbs.h"

#include <algorithm>
#include <cmath>

namespace llmrt::tool {

namespace {

using server::Json;

struct BenchServeFlags {
  std::string host = "127.0.0.1", endpoint = "/v1/completions", model, dataset = "random", api_key, rate = "inf",
              metrics = "ttft,tpot,itl", percentiles = "99", result_file;
  int64_t port = 8000, num_prompts = 1000, input_len = 1024, output_len = 128, prefix_len = 0, max_concurrency = 0,
          seed = 0, vocabulary = 0;
  double temperature = 0;
  bool json = false, ignore_eos = true;
};

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find(',', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

Result<LoadSettings> read_settings(const BenchServeFlags &flags) {
  auto wrong = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  LoadSettings out;
  if (flags.dataset != "random")
    return wrong("--dataset-name " + flags.dataset + " is not there; random is");
  if (flags.rate != "inf" && (!parse_number(flags.rate, out.request_rate) || !(out.request_rate > 0)))
    return wrong("--request-rate must be inf or requests a second, not " + flags.rate);
  if (flags.num_prompts < 1 || flags.input_len < 1 || flags.output_len < 1 || flags.prefix_len < 0)
    return wrong("--num-prompts, --random-input-len and --random-output-len must be 1 or more");
  if (flags.port < 1 || flags.port > 65535)
    return wrong("--port must be from 1 to 65535");
  out.metrics = split(flags.metrics);
  for (const std::string &name : out.metrics)
    if (name != "ttft" && name != "tpot" && name != "itl" && name != "e2el")
      return wrong("--percentile-metrics: " + name + " is none of ttft, tpot, itl, e2el");
  out.percentiles.clear();
  for (const std::string &text : split(flags.percentiles)) {
    double value = -1;
    if (!parse_number(text, value) || !(value >= 0 && value <= 100))
      return wrong("--metric-percentiles must be numbers from 0 to 100, not " + text);
    out.percentiles.push_back(value);
  }
  out.max_concurrency = flags.max_concurrency;
  out.num_prompts = flags.num_prompts;
  return out;
}

// The model's name and how many ids it has, unless the flags say so.
Status ask_server(const LoadTarget &target, BenchServeFlags &flags) {
  if (!flags.model.empty() && flags.vocabulary > 0)
    return ok_status();
  Result<std::string> body = fetch(target, "/v1/models");
  if (!body.ok())
    return body.status();
  Result<Json> json = server::parse_json(*body);
  bool good = json.ok() && json->is_object() && json->contains("data") && (*json)["data"].is_array() &&
              !(*json)["data"].empty() && (*json)["data"][0].is_object();
  if (!good)
    return Status(StatusCode::kUnsupported, "/v1/models of the server lists no model");
  const Json &first = (*json)["data"][0];
  if (flags.model.empty() && first.contains("id") && first["id"].is_string())
    flags.model = first["id"];
  Json meta = first.value("meta", Json::object());
  if (flags.vocabulary <= 0 && meta.is_object() && meta.contains("n_vocab") && meta["n_vocab"].is_number_integer())
    flags.vocabulary = meta["n_vocab"];
  if (flags.vocabulary <= 0)
    return Status(StatusCode::kInvalidArgument,
                  "the server does not say how many token ids it has: give --random-vocab-size");
  return ok_status();
}

// Ids and arrivals depend on the seed alone.
std::vector<LoadRequest> make_requests(const BenchServeFlags &flags, double request_rate) {
  const uint64_t seed = static_cast<uint64_t>(flags.seed);
  std::vector<LoadRequest> out(static_cast<size_t>(flags.num_prompts));
  double at = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    Json ids = Json::array();
    for (int64_t k = 0; k < flags.prefix_len + flags.input_len; ++k) {
      uint32_t branch = k < flags.prefix_len ? 0 : static_cast<uint32_t>(i + 1);
      double draw = uniform_draw(seed, static_cast<uint64_t>(k), branch, 2);
      ids.push_back(static_cast<int64_t>(draw * static_cast<double>(flags.vocabulary)));
    }
    Json body{{"model", flags.model}, {"prompt", std::move(ids)}, {"max_tokens", flags.output_len}};
    body["temperature"] = flags.temperature;
    body["ignore_eos"] = flags.ignore_eos;
    body["stream"] = true;
    body["stream_options"] = Json{{"include_usage", true}};
    out[i].body = server::dump_json(body);
    out[i].at_seconds = at;
    if (request_rate > 0) // the gaps of a Poisson process
      at -= std::log(1 - uniform_draw(seed, i, 0, 3)) / request_rate;
  }
  return out;
}

int bench_serve(BenchServeFlags &flags) {
  Result<LoadSettings> settings = read_settings(flags);
  if (!settings.ok())
    return usage(settings.status().message());
  LoadTarget target{flags.host, static_cast<int>(flags.port), flags.endpoint, flags.api_key};
  if (Status status = ask_server(target, flags); !status.ok())
    return fail(status);
  settings->model = flags.model;
  std::vector<LoadRequest> requests = make_requests(flags, settings->request_rate);
  fprintf(stderr, "%zu requests to http://%s:%d%s\n", requests.size(), target.host.c_str(), target.port,
          target.path.c_str());
  Result<std::vector<LoadResult>> results = run_load(target, requests, flags.max_concurrency);
  if (!results.ok())
    return fail(results.status());
  LoadReport report = summarize(*settings, *results);
  for (const LoadResult &one : *results)
    if (!one.ok) {
      fprintf(stderr, "llmrt: %lld requests failed, the first with: %s\n", static_cast<long long>(report.failed),
              one.error.c_str());
      break;
    }
  std::string json = report_json(report) + "\n";
  if (!flags.result_file.empty()) {
    FILE *file = fopen(flags.result_file.c_str(), "w");
    bool written = file && fwrite(json.data(), 1, json.size(), file) == json.size();
    if (file)
      written = fclose(file) == 0 && written;
    if (!written)
      return fail("cannot write " + flags.result_file);
  }
  if (!print(flags.json ? json : report_table(report)) || !flush_stdout())
    return kError;
  return report.completed > 0 && report.failed == 0 ? kOk : kError;
}

} // namespace

std::function<int()> setup_bench_serve(Flags &flags) {
  auto to = std::make_shared<BenchServeFlags>();
  flags.text("--host", to->host, "the server's address");
  flags.integer("--port", to->port, "its port");
  flags.text("--endpoint", to->endpoint, "one that streams as OpenAI's completions do");
  flags.text("--model", to->model, "its name there; without it the first one the server lists");
  flags.text("--api-key", to->api_key, "the server's");
  flags.text("--dataset-name", to->dataset, "random");
  flags.integer("--num-prompts", to->num_prompts, "how many requests");
  flags.text("--request-rate", to->rate, "requests a second (Poisson arrivals), or inf: all at once");
  flags.integer("--max-concurrency", to->max_concurrency, "requests on their way at a time; 0: no limit");
  flags.integer("--random-input-len", to->input_len, "tokens of a prompt");
  flags.integer("--random-output-len", to->output_len, "tokens of an answer");
  flags.integer("--random-prefix-len", to->prefix_len, "tokens before them that all prompts share");
  flags.integer("--random-vocab-size", to->vocabulary, "ids to draw from; without it what the server says");
  flags.integer("--seed", to->seed, "of prompts and arrivals");
  flags.number("--temperature", to->temperature, "of the requests");
  flags.switched("ignore-eos", to->ignore_eos, "answers have their full length");
  flags.text("--percentile-metrics", to->metrics, "of ttft, tpot, itl, e2el");
  flags.text("--metric-percentiles", to->percentiles, "comma-separated");
  flags.text("--result-filename", to->result_file, "the JSON goes there too");
  flags.flag("--json", to->json, "one line of JSON instead of the table");
  return [to] { return bench_serve(*to); };
}

} // namespace llmrt::tool
