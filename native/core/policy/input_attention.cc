// SPDX-License-Identifier: Apache-2.0
#include "core/policy/input_attention.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace edgestream {

int64_t InputAttention::lag(std::span<const float> attention, int64_t end) {
  const int64_t oldest = end - static_cast<int64_t>(attention.size());
  std::erase_if(units_, [&](Unit u) { return attention.empty() || u.first < oldest; });
  int64_t lag = -1;
  float most = -1.F;
  for (size_t i = 0; i < units_.size(); ++i) {
    const auto [first, last] = units_[i];
    if (last > end) {
      throw std::runtime_error("loop: input was read up to row " + std::to_string(last) +
                               ", the decoder says that it has " + std::to_string(end) +
                               "; its pos() must count every row");
    }
    const float weight = *std::ranges::max_element(attention.subspan(first - oldest, last - first));
    if (weight < most) continue;
    most = weight;
    lag = static_cast<int64_t>(units_.size() - 1 - i);
  }
  return lag;
}

}  // namespace edgestream
