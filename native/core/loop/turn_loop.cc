// SPDX-License-Identifier: Apache-2.0
#include "core/loop/turn_loop.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

namespace edgestream {

bool TurnLoop::ends_turn(int32_t token) const {
  return std::ranges::find(loop_config_.end_of_turn, token) != loop_config_.end_of_turn.end();
}

void TurnLoop::limit_turns(int max_tokens, double max_ms) {
  if (max_tokens < 1 || !(max_ms >= 0)) {
    throw std::invalid_argument("loop: a turn is limited to one token and 0 ms at least");
  }
  max_tokens_ = max_tokens;
  max_ms_ = max_ms;
}

void TurnLoop::cut_turn() {
  if (!cut_off_ || loop_config_.end_of_turn.empty()) return;
  end_turn(TurnEnd::kModel, loop_config_.end_of_turn.front(), 0);
  counts_.turn = 0;
  cut_off_ = resumable_ = false;
}

void TurnLoop::follow(const TurnLoop& other) {
  Loop::follow(other);
  cut_off_ = other.cut_off_;
  resumable_ = other.resumable_;
  in_word_ = other.in_word_;
}

void TurnLoop::go_on() {
  Loop::go_on();
  cut_off_ = resumable_ = in_word_ = false;
}

void TurnLoop::write_unit() {
  ++counts_.since_write;
  take_turn(std::min(max_tokens_, loop_config_.max_tokens_per_unit), max_ms_);
}

void TurnLoop::write_rest() {
  constexpr double kUnlimited = std::numeric_limits<double>::infinity();
  if (resumable_) take_turn(loop_config_.max_tokens_at_end, kUnlimited);
  resumable_ = false;
}

void TurnLoop::take_turn(int max_tokens, double max_ms) {
  TurnEnd how = TurnEnd::kLimit;
  in_word_ = in_word_ && counts_.written > 0;  // else the stream began anew
  Proposal proposal;
  int n = 0;
  double slowest_ms = 0;  // of the turn's tokens but the first, whose scores came with the unit
  double age_ms = unit_age_ms();
  for (; n < max_tokens; ++n) {
    if (n > 0 && age_ms + slowest_ms > max_ms) break;
    proposal = propose();
    const bool silent = proposal.token >= 0 && proposal.token == loop_config_.silence;
    const bool over = proposal.token < 0 || ends_turn(proposal.token);
    const bool goes_on = !silent && !over && in_word_ && !begins_word(proposal.token);
    if (silent || over || !(goes_on || approves(proposal, counts_))) {
      how = silent ? TurnEnd::kSilence : over ? TurnEnd::kModel : TurnEnd::kPolicy;
      counts_.held = how == TurnEnd::kPolicy ? counts_.held + 1 : 0;
      counts_.turn = 0;
      in_word_ = false;
      break;
    }
    write(proposal.token, proposal.probability);
    write_token(proposal.token);
    in_word_ = true;
    const double before_ms = std::exchange(age_ms, unit_age_ms());
    slowest_ms = std::max(slowest_ms, age_ms - before_ms);
  }
  cut_off_ = how == TurnEnd::kLimit;
  resumable_ = cut_off_ || how == TurnEnd::kPolicy;
  end_turn(how, proposal.token, n);
}

}  // namespace edgestream
