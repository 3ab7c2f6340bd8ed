// SPDX-License-Identifier: Apache-2.0
#include "core/policy.h"

#include <stdexcept>
#include <string>

namespace edgestream {

WaitK::WaitK(int64_t k) : k_(k) {
  if (k < 0) throw std::invalid_argument("wait-k: k is " + std::to_string(k) + ", must be >= 0");
}

Action WaitK::decide(const Observation& seen) const {
  const bool ahead = seen.read - seen.written >= k_;
  return ahead || seen.finished ? Action::kWrite : Action::kRead;
}

ConfidenceThreshold::ConfidenceThreshold(int64_t k, float threshold, int64_t max_hold)
    : wait_k_(k), threshold_(threshold), max_hold_(max_hold) {
  if (!(threshold >= 0.F && threshold <= 1.F)) {
    throw std::invalid_argument("confidence threshold: " + std::to_string(threshold) +
                                " is not a probability, must be from 0 to 1");
  }
  if (max_hold < 0) {
    throw std::invalid_argument("confidence threshold: the limit is " + std::to_string(max_hold) +
                                " steps, must be >= 0");
  }
}

Action ConfidenceThreshold::decide(const Observation& seen) const {
  if (wait_k_.decide(seen) == Action::kRead) return Action::kRead;
  const bool safe = seen.probability >= threshold_ || seen.held >= max_hold_ || seen.finished;
  return safe ? Action::kWrite : Action::kRead;
}

}  // namespace edgestream
