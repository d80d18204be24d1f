#include "runtime/engine/beams.h"

#include <algorithm>
#include <cmath>

namespace llmrt {

BeamSearch::BeamSearch(const BeamOptions &options, int64_t prompt_length, int64_t max_tokens,
                       std::span<const int32_t> end_ids)
    : width_(size_t(options.width)), length_penalty_(options.length_penalty), prompt_length_(prompt_length),
      end_ids_(end_ids), beams_(width_), taken_(width_), done_(width_ + 1) {
  for (Beam &beam : beams_) {
    beam.scored.top.reserve(size_t(candidates()));
    beam.ids.reserve(size_t(max_tokens));
    beam.logprobs.reserve(size_t(max_tokens));
  }
  for (BeamHypothesis &one : done_) {
    one.ids.reserve(size_t(max_tokens));
    one.logprobs.reserve(size_t(max_tokens));
  }
  choices_.reserve(width_ * size_t(candidates()));
  moves_.reserve(width_);
}

bool BeamSearch::ends(int32_t id) const { return std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end(); }

// Keeps the best `width` hypotheses in order; an earlier one goes before a later one of the same score.
void BeamSearch::complete(const BeamMove &move, bool stopped) {
  const Beam &beam = beams_[size_t(move.from)];
  BeamHypothesis &spare = done_[done_count_];
  const double length = double(prompt_length_ + int64_t(beam.ids.size()) + (stopped ? 0 : 1));
  spare.ids.assign(beam.ids.begin(), beam.ids.end());
  spare.logprobs.assign(beam.logprobs.begin(), beam.logprobs.end());
  spare.ids.push_back(move.id);
  spare.logprobs.push_back(move.logprob);
  spare.sum = move.sum;
  spare.score = move.sum / std::pow(length, length_penalty_);
  spare.stopped = stopped;
  for (size_t at = done_count_; at > 0 && done_[at - 1].score < done_[at].score; --at)
    std::swap(done_[at - 1], done_[at]);
  done_count_ = std::min(done_count_ + 1, width_);
}

void BeamSearch::gather(bool may_stop) {
  choices_.clear();
  for (int index = 0; index < live_; ++index) {
    const Beam &beam = beams_[size_t(index)];
    for (size_t rank = 0; rank < beam.scored.top.size(); ++rank) {
      const TokenLogprob &next = beam.scored.top[rank];
      const BeamMove move{index, -1, next.id, next.logprob, beam.sum + double(next.logprob)};
      if (!may_stop || !ends(next.id))
        choices_.push_back(move);
      else if (rank < 2 * width_) // what is beyond is there so that enough beams go on
        complete(move, true);
    }
  }
}

// Gives each move in moves_ a beam: its own one for the first of a beam's moves, one that nothing continues otherwise.
void BeamSearch::place() {
  std::fill(taken_.begin(), taken_.end(), uint8_t(0));
  for (BeamMove &move : moves_) {
    if (taken_[size_t(move.from)]) continue;
    taken_[size_t(move.from)] = 1;
    move.to = move.from;
  }
  size_t unused = 0;
  for (BeamMove &move : moves_) {
    if (move.to >= 0) continue;
    while (taken_[unused]) ++unused;
    taken_[unused] = 1;
    move.to = int(unused);
  }
  for (size_t i = 0, front = 0; i < moves_.size(); ++i) // those that take over come first, in their order
    if (moves_[i].from != moves_[i].to)
      std::rotate(moves_.begin() + ptrdiff_t(front++), moves_.begin() + ptrdiff_t(i), moves_.begin() + ptrdiff_t(i + 1));
}

std::span<const BeamMove> BeamSearch::choose(bool may_stop, bool last) {
  gather(may_stop);
  auto better = [](const BeamMove &a, const BeamMove &b) { // ties: as they were gathered
    return a.sum != b.sum ? a.sum > b.sum : a.from != b.from ? a.from < b.from : a.id < b.id;
  };
  const size_t kept = std::min(width_, choices_.size());
  std::partial_sort(choices_.begin(), choices_.begin() + ptrdiff_t(kept), choices_.end(), better);
  moves_.assign(choices_.begin(), choices_.begin() + ptrdiff_t(kept));
  if (last || moves_.empty()) {
    for (const BeamMove &move : moves_) complete(move, false);
    moves_.clear();
    return {};
  }
  place();
  for (const BeamMove &move : moves_) {
    Beam &to = beams_[size_t(move.to)];
    const Beam &from = beams_[size_t(move.from)];
    if (&to == &from) continue;
    to.ids.assign(from.ids.begin(), from.ids.end());
    to.logprobs.assign(from.logprobs.begin(), from.logprobs.end());
  }
  for (const BeamMove &move : moves_) {
    Beam &to = beams_[size_t(move.to)];
    to.ids.push_back(move.id);
    to.logprobs.push_back(move.logprob);
    to.sum = move.sum;
    to.ready = false;
  }
  live_ = int(moves_.size());
  return moves_;
}

} // namespace llmrt
