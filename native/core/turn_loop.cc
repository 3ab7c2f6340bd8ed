// SPDX-License-Identifier: Apache-2.0
#include "core/turn_loop.h"

#include <algorithm>

namespace edgestream {

bool TurnLoop::ends_turn(int32_t token) const {
  return std::ranges::find(loop_config_.end_of_turn, token) != loop_config_.end_of_turn.end();
}

void TurnLoop::write_unit() {
  ++counts_.since_write;
  take_turn(loop_config_.max_tokens_per_unit);
}

void TurnLoop::write_rest() {
  if (resumable_) take_turn(loop_config_.max_tokens_at_end);
  resumable_ = false;
}

void TurnLoop::take_turn(int max_tokens) {
  TurnEnd how = TurnEnd::kLimit;
  Proposal proposal;
  int n = 0;
  for (; n < max_tokens; ++n) {
    proposal = propose();
    const bool silent = proposal.token >= 0 && proposal.token == loop_config_.silence;
    const bool over = proposal.token < 0 || ends_turn(proposal.token);
    if (silent || over || !approves(proposal, counts_)) {
      how = silent ? TurnEnd::kSilence : over ? TurnEnd::kModel : TurnEnd::kPolicy;
      counts_.held = how == TurnEnd::kPolicy ? counts_.held + 1 : 0;
      counts_.turn = 0;
      break;
    }
    write(proposal.token, proposal.probability);
    write_token(proposal.token);
  }
  resumable_ = how == TurnEnd::kPolicy || how == TurnEnd::kLimit;
  end_turn(how, proposal.token, n);
}

}  // namespace edgestream
