// Several answers to one prompt: branches that are forked after it, and beams.
#include "runtime/engine/engine_impl.h"

#include <algorithm>
#include <utility>

namespace llmrt {

namespace {

std::unique_ptr<RequestState> follower_of(const RequestState &first, int32_t branch) {
  auto request = std::make_unique<RequestState>();
  request->spec = first.spec;
  request->spec.on_prompt_logits = nullptr;
  request->spec.prompt_logprobs = -1;
  request->prompt_length = request->token_count = first.prompt_length;
  request->branch = branch;
  return request;
}

} // namespace

// From any thread, before the request is the engine's.
void EngineImpl::add_followers(RequestState *request) const {
  const RequestSpec &spec = request->spec;
  const int32_t count = request->is_beam_search() ? spec.beams.width : spec.branches;
  request->followers.reserve(size_t(count - 1));
  for (int32_t i = 1; i < count; ++i) request->followers.push_back(follower_of(*request, i));
  if (!request->is_beam_search()) return;
  const int64_t tokens = std::min<int64_t>(spec.max_tokens, sizing_.max_model_len - request->prompt_length);
  request->search = std::make_unique<BeamSearch>(
      spec.beams, request->prompt_length, tokens, spec.ignore_eos ? std::span<const int32_t>() : end_ids_);
  request->first_beam = request;
  for (size_t i = 0; i < request->followers.size(); ++i) {
    RequestState &follower = *request->followers[i];
    follower.first_beam = request;
    follower.beam = int(i + 1);
    std::vector<int32_t>().swap(follower.spec.prompt); // it starts from another beam
    follower.spec.on_event = nullptr;
  }
}

Status EngineImpl::check_branches(const RequestSpec &spec) const {
  auto invalid = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  if (spec.branches < 1) return invalid("branches must be 1 or more, not " + std::to_string(spec.branches));
  if (spec.prompt_logprobs < -1 || spec.prompt_logprobs > vocabulary_)
    return invalid("prompt_logprobs must be at most the vocabulary's size, " + std::to_string(vocabulary_));
  const BeamOptions &beams = spec.beams;
  if (beams.width == 0) return ok_status();
  if (spec.rules) return invalid("beam search does not go together with a grammar");
  if (beams.width < spec.branches)
    return invalid("beam search of width " + std::to_string(beams.width) + " cannot give " +
                   std::to_string(spec.branches) + " answers");
  if (spec.max_tokens == 0) return invalid("beam search needs max_tokens of at least 1");
  if (!(beams.length_penalty >= -100 && beams.length_penalty <= 100))
    return invalid("length_penalty must be between -100 and 100");
  if (beams.width > sizing_.limits.sequences)
    return invalid("beam search of width " + std::to_string(beams.width) + " needs as many sequences: raise "
                   "--max-num-seqs, which is " + std::to_string(sizing_.limits.sequences));
  if (2 * int64_t(beams.width) + int64_t(end_ids_.size()) > vocabulary_)
    return invalid("beam search of width " + std::to_string(beams.width) + " is too wide for a vocabulary of " +
                   std::to_string(vocabulary_));
  return ok_status();
}

// The prompt is computed and its last row is there: branches that find a slot start from its pages, the others wait
// and will find the pages in the prefix cache.
void EngineImpl::sample_branches(const PlannedRequest &entry) {
  RequestState *first = entry.request;
  auto followers = std::exchange(first->followers, {});
  for (auto &follower : followers) {
    --held_;
    held_tokens_ -= follower->prompt_length;
    if (scheduler_.fork(*first, follower.get())) continue;
    scheduler_.add(follower.release());
  }
  const int64_t row = entry.first_row + entry.rows - 1;
  sample(first, row);
  for (auto &follower : followers)
    if (follower) sample(follower.release(), row);
}

// A request ends whose branches have not started: they go on by themselves.
void EngineImpl::let_go_of_followers(RequestState *request) {
  for (auto &follower : std::exchange(request->followers, {})) {
    --held_;
    held_tokens_ -= follower->prompt_length;
    RequestState *alone = follower.release();
    scheduler_.add(alone);
    if (!alone->cancelled) continue;
    Event event;
    event.finish = FinishReason::kCancelled;
    emit(alone, std::move(event));
  }
}

// ---- beams
// ----------------------------------------------------------------------------------------------------------

void EngineImpl::score_beam(const PlannedRequest &entry) {
  RequestState *beam = entry.request, *first = beam->first_beam;
  BeamSearch &search = *first->search;
  if (!first->error.empty()) return;
  const std::span<const float> row = device_->logits(entry.first_row + entry.rows - 1);
  if (Status status = sampler_.score(row, search.candidates(), &search.scored(beam->beam)); !status.ok())
    return drop_later(first, status.message());
  search.set_ready(beam->beam);
  for (int i = 0; i < search.live(); ++i) {
    const RequestState &other = i == 0 ? *first : *first->followers[size_t(i - 1)];
    if (!search.ready(i) || other.pending() != 0) return; // preempted ones come again
  }
  advance_beams(first);
}

void EngineImpl::advance_beams(RequestState *first) {
  BeamSearch &search = *first->search;
  auto beam = [first](int i) { return i == 0 ? first : first->followers[size_t(i - 1)].get(); };
  const int64_t next = first->generated() + 1;
  const bool last = next >= first->spec.max_tokens || first->token_count + 1 >= sizing_.max_model_len;
  const std::span<const BeamMove> moves = search.choose(next >= first->spec.min_tokens, last);
  if (moves.empty()) return end_beams(first, FinishReason::kNone, {});
  for (const BeamMove &move : moves)
    if (move.from != move.to) scheduler_.take_over(*beam(move.from), beam(move.to));
  for (const BeamMove &move : moves) scheduler_.append(beam(move.to), move.id);
}

// kNone: the search is over, its results are the answers.
void EngineImpl::end_beams(RequestState *first, FinishReason reason, const std::string &error) {
  std::unique_ptr<RequestState> ended(first);
  for (auto &follower : first->followers) scheduler_.remove(follower.get());
  scheduler_.remove(first);
  {
    std::lock_guard lock(mutex_);
    live_.erase(first->id);
  }
  const auto results = first->search->results();
  for (int32_t branch = 0; branch < first->spec.branches; ++branch) {
    Event event;
    event.finish = reason;
    event.error = error;
    if (reason == FinishReason::kNone) {
      const BeamHypothesis &answer = results[size_t(branch)];
      event.finish = answer.stopped ? FinishReason::kStop : FinishReason::kLength;
      event.tokens.resize(answer.ids.size());
      for (size_t i = 0; i < answer.ids.size(); ++i)
        event.tokens[i] = {answer.ids[i], answer.logprobs[i], {}, 0};
      counts_.generation_tokens += answer.ids.size();
    }
    event.branch = branch;
    tell(*first, std::move(event));
  }
}

} // namespace llmrt
