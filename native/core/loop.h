// SPDX-License-Identifier: Apache-2.0
// The read/write loop of the concatenated paradigm: one step reads one unit and may write one
// token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/decoder.h"
#include "core/policy.h"

namespace edgestream {

/// Tokens with a meaning of their own, as the model was trained with them.
struct SpecialTokens {
  int32_t pad = 0;      ///< nothing to write in this step
  int32_t bos = 0;      ///< first sink
  int32_t delay_0 = 0;  ///< row of delay 0; delay k is row delay_0 + k
  int32_t n_text = 0;   ///< only tokens below this may be written
};

/// Delayed streams modelling (Zeghidour et al. 2025, "Streaming Sequence-to-Sequence Learning with
/// Delayed Streams Modeling"): step t reads x_t + E[token of step t-1] + E[delay] and proposes a
/// token or PAD; the policy decides whether a proposal is written now. The sinks are the embeddings
/// of BOS and of the delay.
///
/// Deterministic: tokens depend on the rows alone, not on how push() cuts them. Allocates nothing
/// after construction. Not thread-safe.
class ConcatenatedLoop {
 public:
  /// `decoder` and `policy` must outlive the loop. `delay_frames` >= 0 selects the delay embedding;
  /// `pad_bias` is taken from the logit of PAD. Throws std::invalid_argument on tokens that
  /// `decoder` does not have.
  ConcatenatedLoop(Decoder& decoder, const Policy& policy, SpecialTokens special,
                   int32_t delay_frames, float pad_bias);

  /// Reads rows [n, n_embd]; for each writes the token of its step (or PAD) to `tokens` [n] and its
  /// probability to `probabilities` [n]. Throws std::invalid_argument when the sizes disagree.
  void push(std::span<const float> rows, std::span<int32_t> tokens, std::span<float> probabilities);

  /// From now on the source has ended: nothing is held back in the steps that are still to come.
  void finish() { finished_ = true; }

  /// Back to an empty stream.
  void reset();

  int64_t read() const { return read_; }
  int64_t written() const { return written_; }

 private:
  struct Proposal {
    int32_t token;
    float probability;
    float margin;   // to the second token
    float silence;  // probability of PAD
    float entropy;
  };

  void prompt();
  Proposal propose(std::span<const float> logits) const;
  bool writes(const Proposal& proposal);

  Decoder& decoder_;
  const Policy& policy_;
  const SpecialTokens special_;
  const float pad_bias_;
  const size_t width_;            // n_embd
  std::vector<float> delay_row_;  // [n_embd]
  std::vector<float> row_;        // [n_embd] input of the step at work
  int32_t previous_;              // token of the last step
  int64_t read_ = 0;              // units read since reset
  int64_t written_ = 0;           // tokens other than PAD written since reset
  int64_t held_ = 0;              // proposals held back in a row
  int64_t turn_ = 0;              // steps in a row, up to the last one, that wrote a token
  int64_t since_write_ = 0;       // units read after the last token other than PAD
  bool finished_ = false;         // set by finish()
};

}  // namespace edgestream
