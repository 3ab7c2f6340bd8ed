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
  /// A unit was read as the rows [first, end) of the region that input enters.
  void read(int64_t first, int64_t end) { units_.push_back({first, end}); }

  /// Units from the one that holds the most attended input row to the newest one (AlignAtt, Papi et
  /// al. 2023); -1 when `attention` is empty or reaches no unit. `attention` weighs the region's
  /// rows before `end`, oldest first. Forgets the units that it does not reach. Throws
  /// std::runtime_error when a unit ends behind `end`: the decoder has counted its rows wrongly.
  int64_t lag(std::span<const float> attention, int64_t end);

  void reset() { units_.clear(); }

 private:
  struct Unit {
    int64_t first;
    int64_t end;
  };
  std::vector<Unit> units_;  // oldest first
};

}  // namespace edgestream
