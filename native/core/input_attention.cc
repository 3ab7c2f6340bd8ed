// SPDX-License-Identifier: Apache-2.0
#include "core/input_attention.h"

#include <algorithm>

namespace edgestream {

int64_t InputAttention::lag(std::span<const float> attention, int64_t end) {
  const int64_t oldest = end - static_cast<int64_t>(attention.size());
  const auto reached = std::ranges::find_if(units_, [&](Unit u) { return u.first >= oldest; });
  units_.erase(units_.begin(), reached);
  int64_t lag = -1;
  float most = -1.F;
  for (size_t i = 0; i < units_.size(); ++i) {
    const auto weights =
        attention.subspan(units_[i].first - oldest, units_[i].end - units_[i].first);
    const float weight = *std::ranges::max_element(weights);
    if (weight < most) continue;
    most = weight;
    lag = static_cast<int64_t>(units_.size() - 1 - i);
  }
  return lag;
}

}  // namespace edgestream
