// SPDX-License-Identifier: Apache-2.0
// The concatenated paradigm: one step reads one unit and may write one token.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/loop.h"

namespace edgestream {

/// Tokens with a meaning of their own, as the model was trained with them.
struct SpecialTokens {
  int32_t pad = 0;      ///< nothing to write in this step
  int32_t bos = 0;      ///< first sink
  int32_t delay_0 = 0;  ///< row of delay 0; delay k is row delay_0 + k
  int32_t n_text = 0;   ///< only tokens below this may be written
};

/// Delayed streams modelling (Zeghidour et al. 2025, "Streaming Sequence-to-Sequence Learning with
/// Delayed Streams Modeling"): step t reads x_t + E[token of step t-1] + E[delay] and proposes what
/// slot t of the output holds: a token or PAD. The sinks are the embeddings of BOS and of the
/// delay.
///
/// The policy decides whether the slot becomes that. Where it says READ, the slot is deferred: the
/// same model runs a second time with a delay of one step more and proposes for the slot one step
/// later, with more input; and so on, `deferrals` times. So a slot costs latency only where the
/// model is unsure, and each run sees the tokens that were decided, as in training. This is a
/// cascade (Viola and Jones 2001) over delays. The last proposal is final: READ there leaves PAD.
///
/// finish() writes nothing by itself: in the rows that come after it nothing is held back.
class ConcatenatedLoop final : public Loop {
 public:
  /// `decoder` and `policy` must outlive the loop, which forks the decoder once for each deferral.
  /// `delay_frames` >= 0 selects the delay embedding, `delay_frames + deferrals` the last one;
  /// `pad_bias` is taken from the logit of PAD. Throws std::invalid_argument on tokens that
  /// `decoder` does not have.
  ConcatenatedLoop(Decoder& decoder, const Policy& policy, SpecialTokens special,
                   int32_t delay_frames, float pad_bias, int32_t deferrals = 0);

  /// Reads rows [n, n_embd] and writes the slots that are decided now, in order: the token (or PAD)
  /// to `tokens`, its probability to `probabilities`, and to `waited`, unless that is empty, how
  /// many steps after the slot's own it was written. Each has room for n + undecided() slots.
  /// Returns the number of slots; without deferrals always n. Throws std::invalid_argument when the
  /// sizes disagree.
  size_t push(std::span<const float> rows, std::span<int32_t> tokens,
              std::span<float> probabilities, std::span<int32_t> waited = {});

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
  void read_unit(std::span<const float> rows, std::span<const int32_t> tokens) override;
  void write_unit() override;
  void consult(int64_t rung);
  Counts counts_before(int64_t i, int64_t rung) const;
  void write_slots();
  Slot& slot(int64_t i) { return slots_[static_cast<size_t>(i) % slots_.size()]; }
  const Slot& slot(int64_t i) const { return slots_[static_cast<size_t>(i) % slots_.size()]; }

  const SpecialTokens special_;
  std::vector<std::unique_ptr<Decoder>> forks_;  // one for each deferral
  std::vector<Decoder*> rungs_;                  // the decoder, then the forks
  std::vector<std::vector<float>> delay_rows_;   // [rungs][n_embd]
  std::vector<float> unit_row_;                  // [n_embd] the unit at work
  std::vector<float> row_;                       // [n_embd] input of the step at work
  std::vector<Slot> slots_;                      // the last ones, slot i at i % size
  std::vector<Decided> decided_;                 // written since push() was called
  int64_t n_slots_ = 0;                          // slots written since the start
  int64_t held_ = 0;                             // final proposals held back in a row
};

}  // namespace edgestream
