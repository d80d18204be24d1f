// A request inside the engine: what was asked, and how far it is. Made by submit(); from then on the engine's thread
// alone touches it, but for `cancelled`.
#pragma once

#include "runtime/engine/beams.h"
#include "runtime/engine/request.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/token_rules.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace llmrt {

struct RequestState {
  RequestId id = 0;
  RequestSpec spec; // its prompt is moved into `tokens` once the request has a slot
  uint64_t arrival = 0;
  uint64_t submitted_ns = 0, waited_ns = 0; // os::monotonic_ns(); Event::waited_ns
  std::atomic<bool> cancelled = false;
  bool expired = false; // dropped because of its deadline
  std::string error;    // why the engine itself drops it, as one that was cancelled

  // A slot (0 .. max_num_seqs - 1) holds the request's tokens and page tables. It is given once, when the request is
  // first considered for admission, and kept to the end, through preemption too: the tokens it has made need a place.
  int slot = -1;
  int32_t *tokens = nullptr; // [token_count]: the prompt, then what was generated
  int64_t prompt_length = 0; // also the RopeLength of the request
  int64_t token_count = 0;
  int64_t computed = 0;         // tokens whose keys and values are in pages
  int64_t logits_delivered = 0; // prompt positions before it have had their logits delivered (or never will)
  int64_t pooled = 0, pooled_rows = 0; // with spec.pooling: positions before it are in the pool; how many are
  int32_t cached_tokens = 0;    // of the prompt, when first admitted
  bool running = false, waiting = false, admitted = false, prompt_counted = false;

  // The other branches of the request, until each is forked from this one or waits by itself; with beam search all
  // beams but the first, to the end.
  std::vector<std::unique_ptr<RequestState>> followers;
  int32_t branch = 0;
  double mirostat_mu = -1; // -1: no token yet
  std::unique_ptr<TokenMatch> match; // of spec.rules, from the first new token on; preemption does not touch it
  std::unique_ptr<BeamSearch> search; // of a beam search's first beam
  RequestState *first_beam = nullptr; // of every beam
  int beam = 0;

  // Place in the scheduler's lists.
  RequestState *previous = nullptr, *next = nullptr;
  RequestState *next_dropped = nullptr; // while cancelled ones are being dropped
  int64_t planned = -1; // entry of the step being planned

  int64_t generated() const { return token_count - prompt_length; }
  int64_t pending() const { return token_count - computed; }
  std::span<const int32_t> known() const { return {tokens, size_t(token_count)}; }
  std::span<const int32_t> prompt() const { return {tokens, size_t(prompt_length)}; }
  std::span<const int32_t> new_tokens() const { return {tokens + prompt_length, size_t(generated())}; }
  bool wants_prompt_logits() const {
    return (spec.on_prompt_logits || spec.prompt_logprobs >= 0) && logits_delivered < prompt_length;
  }
  bool is_beam_search() const { return spec.beams.width > 0; }
  // The `count` best logits of its rows may be all that this step wants of them.
  bool takes_candidates(int64_t count) const {
    const bool asks_more = first_beam || spec.rules || wants_prompt_logits() || generated() < spec.min_tokens;
    return !asks_more && take_candidates(spec.sampling, count);
  }
  // Requests that will be forked from this one and hold nothing yet.
  int64_t to_fork() const {
    if (is_beam_search()) return search && search->live() == 1 ? spec.beams.width - 1 : 0;
    return int64_t(followers.size());
  }
  // Tokens whose keys and values are needed when the request ends as late as it may: the last one's are not.
  int64_t peak_length(int64_t max_model_len) const;
};

inline int64_t RequestState::peak_length(int64_t max_model_len) const {
  const int64_t longest = prompt_length + spec.max_tokens;
  if (longest <= prompt_length) return prompt_length;
  return (longest < max_model_len ? longest : max_model_len) - 1;
}

// A doubly linked list through the requests themselves, so that queues take no memory.
class RequestList {
public:
  RequestState *front() const { return first_; }
  RequestState *back() const { return last_; }
  bool empty() const { return first_ == nullptr; }
  int64_t size() const { return size_; }

  // Before `place`; at the end if null.
  void insert(RequestState *place, RequestState *request) {
    RequestState *before = place ? place->previous : last_;
    request->previous = before;
    request->next = place;
    (before ? before->next : first_) = request;
    (place ? place->previous : last_) = request;
    ++size_;
  }
  void remove(RequestState *request) {
    (request->previous ? request->previous->next : first_) = request->next;
    (request->next ? request->next->previous : last_) = request->previous;
    request->previous = request->next = nullptr;
    --size_;
  }

private:
  RequestState *first_ = nullptr, *last_ = nullptr;
  int64_t size_ = 0;
};

} // namespace llmrt
