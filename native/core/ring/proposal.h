// SPDX-License-Identifier: Apache-2.0
// A token that the model proposes, with the scores that a policy may look at.
#pragma once

#include <cstdint>
#include <span>

namespace edgestream {

struct Proposal {
  int32_t token = -1;         ///< below 0: the model proposes nothing more
  float probability = 0.F;    ///< of the token
  float margin = 0.F;         ///< probability of the likeliest token over that of the second
  float silence = 0.F;        ///< probability of the token that means nothing to write
  float entropy = 0.F;        ///< of the distribution, in nats
  int64_t agreed = -1;        ///< see Observation
  int64_t attended_lag = -1;  ///< see Observation
};

/// What a policy wants to know of a softmax, without computing the softmax itself.
class Distribution {
 public:
  /// Two passes over `logits` [n], n >= 1, of which one at least is above -infinity.
  explicit Distribution(std::span<const float> logits);

  /// Of a token with this logit.
  float probability(float logit) const;
  /// Of the likeliest token over the second.
  float margin() const;
  /// In nats.
  float entropy() const;

 private:
  float best_;           // largest logit
  float second_;         // second largest; -infinity when there is one token
  double sum_ = 0;       // of exp(logit - best)
  double weighted_ = 0;  // of exp(logit - best) * (logit - best)
};

}  // namespace edgestream
