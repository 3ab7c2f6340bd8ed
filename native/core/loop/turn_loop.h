// SPDX-License-Identifier: Apache-2.0
// Loops that write in turns: after a unit any number of tokens.
#pragma once

#include <cstdint>
#include <limits>

#include "core/loop/loop.h"

namespace edgestream {

/// After each unit proposals are written, one after the other, for as long as the policy says WRITE
/// and the model ends its turn neither with a token of end_of_turn nor with silence. Where the
/// configuration says which tokens begin words the policy is asked of words.
class TurnLoop : public Loop {
 public:
  using Loop::finish;
  using Loop::push;
  using Loop::push_tokens;
  using Loop::push_unit;

  /// From the next unit on at most `max_tokens` (and no more than the configuration allows) are
  /// written after one, and none is begun that, at the pace of its turn's slowest, would be done
  /// later than `max_ms` after the unit came; one always may be. For live sources: with a finite
  /// `max_ms` the machine's speed decides what is written. Holds until changed, over reset() too;
  /// finish() is not limited. Throws std::invalid_argument on max_tokens < 1 and max_ms < 0 or NaN.
  void limit_turns(int max_tokens, double max_ms);

  /// Whether a limit ended the last turn, and neither the model nor the policy.
  bool cut_off() const { return cut_off_; }

  /// Ends a turn that a limit cut off as if the model had, with the first token of end_of_turn:
  /// what it spoke of is gone. Nothing happens when there is none, or no token ends turns.
  void cut_turn();

 protected:
  enum class TurnEnd { kModel, kSilence, kPolicy, kLimit };

  using Loop::Loop;

  /// What may be written now; a token below 0 ends the turn as the model's.
  virtual Proposal propose() = 0;
  /// The last proposal is written.
  virtual void write_token(int32_t token) = 0;
  /// No more is written until the next unit, unless finish() resumes a turn that the model did not
  /// end. `token` is the last proposal; `n_written` tokens were written in the turn.
  virtual void end_turn(TurnEnd how, int32_t token, int n_written) = 0;

  bool ends_turn(int32_t token) const;

  /// As Loop's; of the last turn, too.
  void follow(const TurnLoop& other);
  void go_on();

 private:
  void write_unit() final;
  void write_rest() final;
  void take_turn(int max_tokens, double max_ms);

  int max_tokens_ = std::numeric_limits<int>::max();
  double max_ms_ = std::numeric_limits<double>::infinity();
  bool cut_off_ = false;
  bool resumable_ = false;  // the policy or a limit ended the last turn, not the model
  bool in_word_ = false;    // a word was begun that the next token may go on with
};

}  // namespace edgestream
