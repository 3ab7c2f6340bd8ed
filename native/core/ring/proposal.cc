// SPDX-License-Identifier: Apache-2.0
#include "core/ring/proposal.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace edgestream {

Distribution::Distribution(std::span<const float> logits)
    : best_(logits.front()), second_(-std::numeric_limits<float>::infinity()) {
  for (const float x : logits.subspan(1)) {
    if (x > best_) {
      second_ = best_;
      best_ = x;
    } else {
      second_ = std::max(second_, x);
    }
  }
  for (const float x : logits) {
    const double below = static_cast<double>(x) - best_;
    const double e = std::exp(below);
    sum_ += e;
    weighted_ += e > 0 ? e * below : 0.0;  // a masked token: 0 * -infinity
  }
}

float Distribution::probability(float logit) const {
  return static_cast<float>(std::exp(static_cast<double>(logit) - best_) / sum_);
}

float Distribution::margin() const {
  return static_cast<float>((1.0 - std::exp(static_cast<double>(second_) - best_)) / sum_);
}

float Distribution::entropy() const {
  return static_cast<float>(std::log(sum_) - weighted_ / sum_);
}

}  // namespace edgestream
