// Beam search over one prompt: which beams go on with which token. The semantics are vLLM's (beam_search() of its
// front end): of each beam's 2 x width best tokens those that end the text complete a hypothesis, the best `width` of
// the others go on; in the end hypotheses rank by sum of log probabilities / length ^ length_penalty, where the length
// counts the prompt but not the id that ended. Knows no pages: the engine carries out what choose() says.
#pragma once

#include "runtime/engine/request.h"

#include <cstdint>
#include <span>
#include <vector>

namespace llmrt {

struct BeamHypothesis {
  std::vector<int32_t> ids; // of the answer
  std::vector<float> logprobs;
  double sum = 0, score = 0;
  bool stopped = false; // its last id ended it
};

// The beam `to` continues what the beam `from` has, with one more token. Where they differ, `to` takes over all that
// `from` had before this step; such moves come first in the list.
struct BeamMove {
  int from = 0, to = 0;
  int32_t id = 0;
  float logprob = 0;
  double sum = 0;
};

// Takes all its memory in the constructor: about 16 bytes x width x max_tokens.
class BeamSearch {
public:
  // `end_ids` must outlive it; none: nothing stops early. Each step scored() must hold candidates() alternatives for
  // each beam.
  BeamSearch(const BeamOptions &options, int64_t prompt_length, int64_t max_tokens, std::span<const int32_t> end_ids);

  int64_t candidates() const { return int64_t(2 * width_ + end_ids_.size()); }
  int live() const { return live_; } // beams: 1 until the first step is done, then the width
  // Where the caller puts a beam's best next tokens (NewToken::top).
  NewToken &scored(int beam) { return beams_[size_t(beam)].scored; }
  void set_ready(int beam) { beams_[size_t(beam)].ready = true; }
  bool ready(int beam) const { return beams_[size_t(beam)].ready; }

  // All live beams are scored. `may_stop`: ids that end a text count as such. `last`: this is the last token. Returns
  // the moves to carry out; none when the search is over.
  std::span<const BeamMove> choose(bool may_stop, bool last);
  // The best first, at most the width; valid when the search is over.
  std::span<const BeamHypothesis> results() const { return {done_.data(), done_count_}; }

private:
  struct Beam {
    NewToken scored;
    std::vector<int32_t> ids;
    std::vector<float> logprobs;
    double sum = 0;
    bool ready = false;
  };

  bool ends(int32_t id) const;
  void gather(bool may_stop);
  void complete(const BeamMove &move, bool stopped);
  void place();

  size_t width_;
  double length_penalty_;
  int64_t prompt_length_;
  std::span<const int32_t> end_ids_;
  int live_ = 1;
  std::vector<Beam> beams_;
  std::vector<BeamMove> choices_, moves_;
  std::vector<uint8_t> taken_; // beams that a move goes to
  std::vector<BeamHypothesis> done_;
  size_t done_count_ = 0;
};

} // namespace llmrt
