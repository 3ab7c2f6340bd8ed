// SPDX-License-Identifier: Apache-2.0
// How far behind the newest input the model looks, for attention-guided policies.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace edgestream {

/// Remembers which rows of a stream were input, as far back as attention reaches.
class InputAttention {
 public:
  /// A unit was read as the rows [first, end) of the stream.
  void read(int64_t first, int64_t end) { units_.push_back({first, end}); }

  /// Units from the one that holds the most attended input row to the newest one (AlignAtt, Papi et
  /// al. 2023); -1 when `attention` is empty or reaches no unit. `attention` weighs the rows up to
  /// `newest`, oldest first, except that its first `n_prompt` are those that stay for ever. Forgets
  /// the units that it does not reach.
  int64_t lag(std::span<const float> attention, size_t n_prompt, int64_t newest);

  void reset() { units_.clear(); }

 private:
  struct Unit {
    int64_t first;
    int64_t end;
  };
  std::vector<Unit> units_;  // oldest first
};

}  // namespace edgestream
