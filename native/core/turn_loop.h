// SPDX-License-Identifier: Apache-2.0
// Loops that write in turns: after a unit any number of tokens.
#pragma once

#include <cstdint>

#include "core/loop.h"

namespace edgestream {

/// After each unit proposals are written, one after the other, for as long as the policy says WRITE
/// and the model ends its turn neither with a token of end_of_turn nor with silence.
class TurnLoop : public Loop {
 public:
  using Loop::push;
  using Loop::push_tokens;

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

 private:
  void write_unit() final;
  void write_rest() final;
  void take_turn(int max_tokens);

  bool resumable_ = false;  // the policy or a limit ended the last turn, not the model
};

}  // namespace edgestream
