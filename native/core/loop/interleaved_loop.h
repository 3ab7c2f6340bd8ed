// SPDX-License-Identifier: Apache-2.0
// The interleaved paradigm: a run of input rows, then output tokens, in one stream of rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/loop/draft_batch.h"
#include "core/loop/turn_loop.h"
#include "core/policy/input_attention.h"

namespace edgestream {

/// The pieces of a chat template around units and turns, as tokens. All may be empty.
struct InterleavedConfig {
  LoopConfig loop;                   ///< moves into the Loop
  std::vector<int32_t> prompt;       ///< before everything; make it the decoder's attention sinks
  std::vector<int32_t> before_unit;  ///< opens the input's turn
  std::vector<int32_t> after_unit;   ///< ends it and opens the output's
  std::vector<int32_t> after_turn;   ///< follows the token that ended a turn
  /// Follow silence when nothing was written in a turn.
  std::vector<int32_t> after_silence;
  bool remember_silence = true;  ///< silence is a row of the stream as written tokens are
  int n_draft = 0;               ///< tokens drafted at once; needs a drafter
  int input_region = 0;          ///< of the decoder, for units
  int output_region = 0;         ///< of the decoder, for everything else
  /// Of the decoder, for the first rows of everything else, as many as it keeps: what was said
  /// first stays for ever (StreamingVLM's attention sink of text). -1: none.
  int attention_sink_region = -1;
  int n_sinks = 0;  ///< rows that it keeps
};

/// Commentary on pictures (VideoLLM-online, Chen et al. 2024; LiveCC, Chen et al. 2025;
/// StreamingVLM, Xu et al. 2025), simultaneous translation (InfiniSST, Ouyang et al. 2025). A turn
/// that the model does not end itself, because the policy says READ or the limit is reached, is
/// ended with the first token of end_of_turn, or with silence when nothing was written. What ends a
/// turn enters the decoder with the next unit, in one batch.
class InterleavedLoop final : public TurnLoop {
 public:
  /// All must outlive the loop; `drafter` may be null. Throws std::invalid_argument on tokens and
  /// regions that `decoder` does not have.
  InterleavedLoop(Decoder& decoder, const Policy& policy, InterleavedConfig config,
                  Drafter* drafter = nullptr);

  const DraftCounts& draft_counts() const { return batch_.counts(); }

  /// Lets go of rows that the decoder has computed and not yet taken, so that it can be forked;
  /// what is written stays the same.
  void settle();

  /// Goes on where `other` is, for which this loop's decoder must be a fork of that one's: what
  /// `other` holds back until its next unit enters with the next unit of both. For what is asked
  /// aside and leaves no trace. Throws std::invalid_argument where `other` did not settle() and
  /// std::runtime_error where a call of it failed.
  void follow(const InterleavedLoop& other);

  /// Goes on behind what the decoder has read without this loop: nothing is reset, and the prompt
  /// does not enter. `seen` are the newest tokens of that, for drafters. Throws
  /// std::invalid_argument on tokens that the decoder does not have, in a loop that has written,
  /// and where units have a region of their own.
  void go_on(std::span<const int32_t> seen);

 private:
  void start() override;
  void read_unit(const InputUnit& unit) override;
  Proposal propose() override;
  void write_token(int32_t token) override;
  void end_turn(TurnEnd how, int32_t token, int n_written) override;

  void embed(int32_t token);
  void add(std::span<const int32_t> tokens);
  void step(const InputUnit& unit, size_t begin);
  int output_region(int n_rows) const;
  void enter_output(std::span<const float> rows, int64_t& n_before);

  const InterleavedConfig config_;
  DraftBatch batch_;
  InputAttention input_attention_;
  std::vector<int32_t> closing_;    // what ended the last turn; enters with the next unit
  int32_t newest_ = -1;             // written and not yet a row of the decoder; -1: none
  std::vector<float> rows_;         // on their way into the decoder
  std::vector<RegionRows> groups_;  // the rows by the region that they enter
  int64_t n_input_rows_ = 0;        // of units, since the start
  std::span<const float> logits_;
  std::vector<float> settled_logits_;
};

}  // namespace edgestream
