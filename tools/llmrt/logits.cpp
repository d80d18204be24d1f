// llmrt logits FILE --ids 1,2,3 -o x.npy
#include "tools/llmrt/common.h"
#include "tools/llmrt/npy.h"
#include "tools/llmrt/progress.h"
#include "tools/llmrt/verbs.h"

#include <algorithm>

namespace llmrt::tool {

namespace {

struct LogitsFlags {
  ModelFlags model;
  std::string ids, batch, output;
  int64_t chunk = 0, repeat = 1;
};

struct Run {
  int64_t rows = 0, cached = 0;
  size_t finished = 0;
  Status status;
};

Result<std::vector<std::vector<int32_t>>> read_sequences(const LogitsFlags &flags) {
  if (!flags.batch.empty())
    return read_id_lines(flags.batch);
  Result<std::vector<int32_t>> ids = read_ids(flags.ids);
  if (!ids.ok())
    return ids.status();
  if (ids->empty())
    return Status(StatusCode::kInvalidArgument, "there are no ids");
  return std::vector<std::vector<int32_t>>{std::move(*ids)};
}

// All sequences at once; rows go to the file as they come.
int run_once(Model &model, const std::vector<std::vector<int32_t>> &sequences, NpyWriter &writer, Progress &progress,
             Run &run) {
  uint64_t first_row = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const std::vector<int32_t> &ids = sequences[i];
    RequestSpec spec;
    spec.cache_salt = std::to_string(i); // a row that another sequence's pages serve would never be computed
    spec.prompt = ids;
    spec.max_tokens = 0;
    spec.on_event = [&run](Event &&event) {
      run.cached += event.finish == FinishReason::kNone ? 0 : event.cached_tokens;
      run.finished += event.finish != FinishReason::kNone;
      if (event.finish == FinishReason::kError && run.status.ok())
        run.status = Status(StatusCode::kInternal, event.error);
    };
    spec.on_prompt_logits = [&, first_row](int64_t position, std::span<const float> rows) {
      run.rows += static_cast<int64_t>(rows.size()) / model.vocabulary;
      if (Status status = writer.write_rows(first_row + static_cast<uint64_t>(position), rows);
          !status.ok() && run.status.ok())
        run.status = status;
      progress.show(static_cast<double>(run.rows));
    };
    first_row += ids.size();
    Result<RequestId> id = model.engine->submit(std::move(spec));
    if (!id.ok())
      return fail(id.status());
  }
  int code = step_until(*model.engine, [&] { return run.finished == sequences.size() || !run.status.ok(); });
  return run.status.ok() ? code : fail(run.status);
}

ModelOptions engine_for(const LogitsFlags &flags, ModelOptions options,
                        const std::vector<std::vector<int32_t>> &sequences) {
  EngineOptions &engine = options.engine;
  int64_t count = static_cast<int64_t>(sequences.size()), longest = 0, total = 0;
  for (const auto &ids : sequences) {
    longest = std::max(longest, static_cast<int64_t>(ids.size()));
    total += static_cast<int64_t>(ids.size());
  }
  if (engine.max_num_seqs == 0)
    engine.max_num_seqs = count;
  if (engine.max_model_len == 0)
    engine.max_model_len = longest;
  engine.max_queue = std::max(engine.max_queue, count);
  engine.max_queue_tokens = std::max<int64_t>(total, 1 << 20);
  engine.chunk_tokens = flags.chunk;
  return options;
}

int logits(const LogitsFlags &flags, const Flags &given) {
  Result<ModelOptions> options = model_options(flags.model);
  if (!options.ok())
    return usage(options.status().message());
  if (flags.batch.empty() == !given.given("--ids"))
    return usage("give either --ids or --batch");
  if (flags.output.empty())
    return usage("where to? give -o FILE.npy");
  if (flags.chunk < 0 || flags.repeat < 1 || flags.repeat > 100)
    return usage("--chunk must not be negative and --repeat must be from 1 to 100");
  Result<std::vector<std::vector<int32_t>>> sequences = read_sequences(flags);
  if (!sequences.ok())
    return usage(sequences.status().message());
  if (sequences->empty())
    return usage("there are no ids");
  catch_interrupts();
  // A model's length is a default; what is asked for here is what is needed.
  ModelOptions sized = engine_for(flags, *options, *sequences);
  if (Status status = open_for_rows(sized); !status.ok())
    return fail(status);
  std::unique_ptr<Model> model;
  if (int code = open_model(sized, &model); code != kOk)
    return code;
  uint64_t rows = 0;
  for (const auto &ids : *sequences)
    rows += ids.size();
  Result<NpyWriter> writer = NpyWriter::create(flags.output, rows, static_cast<uint64_t>(model->vocabulary));
  if (!writer.ok())
    return fail(writer.status());
  for (int64_t i = 0; i < flags.repeat; ++i) {
    Progress progress("logits", static_cast<double>(rows), flags.model.quiet);
    Run run;
    if (int code = run_once(*model, *sequences, *writer, progress, run); code != kOk)
      return code;
    if (i > 0 || run.cached > 0)
      fprintf(stderr, "run %d: %lld of %llu tokens were cached\n", static_cast<int>(i + 1),
              static_cast<long long>(run.cached), static_cast<unsigned long long>(rows));
  }
  Status status = writer->commit();
  return status.ok() ? kOk : fail(status);
}

} // namespace

std::function<int()> setup_logits(Flags &flags) {
  auto to = std::make_shared<LogitsFlags>();
  add_model_flags(flags, to->model);
  flags.text("--ids", to->ids, "token ids, used as they are: 1,2,3 or @FILE");
  flags.text("--batch", to->batch, "a file with a sequence a line, all run at once");
  flags.text("-o,--output", to->output, "the .npy file: f32 [ids, vocabulary]");
  flags.integer("--chunk", to->chunk, "prompt tokens a step");
  flags.integer("--repeat", to->repeat, "run again, from the cache as far as it goes");
  return [to, &flags] { return logits(*to, flags); };
}

} // namespace llmrt::tool
