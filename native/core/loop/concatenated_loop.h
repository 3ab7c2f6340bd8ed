// SPDX-License-Identifier: Apache-2.0
// The concatenated paradigm: one step reads one unit and may write one token.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/loop/loop.h"

namespace edgestream {

/// Tokens with a meaning of their own, and how a stream starts, as the model was trained with them.
struct SpecialTokens {
  static constexpr int32_t kNone = -1;

  int32_t pad = 0;          ///< nothing to write in this step
  int32_t bos = 0;          ///< before everything else
  int32_t delay_0 = kNone;  ///< row of delay 0; delay k is row delay_0 + k. Or there are none
  int32_t n_text = 0;       ///< only tokens below this may be written
  /// The first steps read BOS, so many PADs and one PAD more for each step of delay, whatever the
  /// model says. Or there is no such prompt.
  int32_t prompt_pads = kNone;
};

/// Delayed streams modelling (Zeghidour et al. 2025, "Streaming Sequence-to-Sequence Learning with
/// Delayed Streams Modeling"): step t reads x_t + E[token of step t-1] + E[delay] and proposes what
/// slot t of the output holds: a token or PAD. A stream starts in one of three ways:
///  - with tokens for delays, the rows of BOS and of the delay come before the input, and "the
///    token before" the first slot is PAD (the default model);
///  - with neither those nor a prompt, the row of BOS comes before the input, and the model itself
///    says which token is before the first slot (Kyutai stt);
///  - with a prompt, "the token before" is given for the first slots, all of which but the last are
///    left PAD (Voxtral Realtime).
///
/// The policy decides whether the slot becomes that. Where it says READ, the slot is deferred: the
/// same model runs a second time with a delay of one step more and proposes for the slot one step
/// later, with more input; and so on, `deferrals` times. So a slot costs latency only where the
/// model is unsure, and each run sees the tokens that were decided, as in training. This is a
/// cascade (Viola and Jones 2001) over delays. The last proposal is final: READ there leaves PAD.
///
/// Slots that are not decided when the input has ended need more rows, of silence say.
class ConcatenatedLoop final : public Loop {
 public:
  /// `decoder` and `policy` must outlive the loop, which forks the decoder once for each deferral.
  /// `delay_frames` >= 0 selects the delay embedding, `delay_frames + deferrals` the last one, or
  /// the length of the prompt; `pad_bias` is taken from the logit of PAD. Throws
  /// std::invalid_argument on tokens that `decoder` does not have, and on deferrals without tokens
  /// for delays.
  ConcatenatedLoop(Decoder& decoder, const Policy& policy, SpecialTokens special,
                   int32_t delay_frames, float pad_bias, int32_t deferrals = 0);

  /// Reads rows [n, n_embd] and writes the slots that are decided now, in order: the token (or PAD)
  /// to `tokens`, its probability to `probabilities`, and to `waited`, unless that is empty, how
  /// many steps after the slot's own it was written. Each has room for n + undecided() slots.
  /// Returns the number of slots; without deferrals always n. Throws std::invalid_argument when the
  /// sizes disagree.
  size_t push(std::span<const float> rows, std::span<int32_t> tokens,
              std::span<float> probabilities, std::span<int32_t> waited = {});

  using Loop::end_input;

  /// Slots read and not yet written, at most `deferrals`.
  int64_t undecided() const { return read() == 0 ? 0 : read() - n_slots_; }

 private:
  struct Slot {
    int32_t token;
    float probability;
    bool decided;
  };
  struct Decided {
    Slot slot;
    int32_t waited;
  };

  void start() override;
  void read_unit(const InputUnit& unit) override;
  void write_unit() override;
  void consult(int64_t rung);
  int32_t token_before(int64_t i) const;
  Counts counts_before(int64_t i, int64_t rung) const;
  void write_slots();
  Slot& slot(int64_t i) { return slots_[static_cast<size_t>(i) % slots_.size()]; }
  const Slot& slot(int64_t i) const { return slots_[static_cast<size_t>(i) % slots_.size()]; }

  const SpecialTokens special_;
  std::vector<std::shared_ptr<Decoder>> forks_;  // one for each deferral
  std::vector<Decoder*> rungs_;                  // the decoder, then the forks
  const int64_t n_prompt_;                       // slots whose token before is given
  int32_t first_token_ = 0;                      // the token before slot 0
  std::vector<std::vector<float>> delay_rows_;   // [rungs][n_embd] zero without tokens for delays
  std::vector<float> unit_row_;                  // [n_embd] the unit at work
  std::vector<float> row_;                       // [n_embd] input of the step at work
  std::vector<Slot> slots_;                      // the last ones, slot i at i % size
  std::vector<Decided> decided_;                 // written since push() was called
  int64_t n_slots_ = 0;                          // slots written since the start
  int64_t held_ = 0;                             // final proposals held back in a row
};

}  // namespace edgestream
