// SPDX-License-Identifier: Apache-2.0
// The grouped paradigm: input and output are regions with positions and windows of their own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/loop/draft_batch.h"
#include "core/loop/turn_loop.h"
#include "core/policy/input_attention.h"

namespace edgestream {

struct GroupedConfig {
  LoopConfig loop;                    ///< moves into the Loop
  std::vector<int32_t> input_prompt;  ///< before the first unit, in the input region
  std::vector<int32_t>
      output_prompt;                ///< before the first token, in the output region; one at least
  std::vector<int32_t> after_turn;  ///< follows the token that ended a turn, in the output region
  int n_draft = 0;                  ///< tokens drafted at once; needs a drafter
};

/// Group positions (Tong et al. 2025, "StreamingGPE"; StreamingThinker; Speak-While-Watching):
/// input rows enter region 0 and never see output; output rows enter region 1 and see both. Which
/// positions they get is the decoder's configuration.
///
/// A new unit and the newest output row, whose prediction it may change, are computed in one batch.
/// That row stays once a token was written behind it; when the policy says READ it is computed anew
/// with the next unit.
class GroupedLoop final : public TurnLoop {
 public:
  /// All must outlive the loop; `drafter` may be null. Throws std::invalid_argument on a decoder
  /// without two regions, tokens that it does not have, or a prompt longer than its proposals.
  GroupedLoop(Decoder& decoder, const Policy& policy, GroupedConfig config,
              Drafter* drafter = nullptr);

  const DraftCounts& draft_counts() const { return batch_.counts(); }

 private:
  void start() override;
  void read_unit(const InputUnit& unit) override;
  Proposal propose() override;
  void write_token(int32_t token) override;
  void end_turn(TurnEnd how, int32_t token, int n_written) override;

  void require_room(size_t n_tokens, const char* name) const;
  void embed(std::span<const int32_t> tokens);

  const GroupedConfig config_;
  DraftBatch batch_;
  InputAttention input_attention_;
  int64_t n_input_rows_ = 0;       // in the input region, since the start
  std::vector<int32_t> newest_;    // tokens of output rows that no token was written behind yet
  std::vector<int32_t> closing_;   // what ended the last turn; enters with the next unit
  std::vector<float> rows_;        // output rows on their way into the decoder
  std::span<const float> logits_;  // behind the newest row; empty when that is not computed yet
};

}  // namespace edgestream
