// SPDX-License-Identifier: Apache-2.0
// A policy that was trained: a multilayer perceptron over what a policy may see.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "core/policy/policy.h"

namespace edgestream {

/// What a head looks at, in this order. Counts that would grow without end in an endless stream are
/// left out or bounded.
inline constexpr std::array<std::string_view, 7> kHeadFeatures = {
    "log_odds",     // of the proposal's probability, -12 to 12
    "margin",       // probability of the likeliest token over that of the second
    "silence",      // probability of the silence token
    "entropy",      // nats
    "held",         // times in a row that a proposal was held back, up to 8
    "since_write",  // log(1 + input units after the last written token, up to 100)
    "turn",         // log(1 + tokens written since the last READ, up to 100)
};

/// The features of an observation; finite whenever its scores are.
std::array<float, kHeadFeatures.size()> head_features(const Observation& seen);

/// Weights of a perceptron with one hidden layer. Inputs are the features and log(latency weight),
/// each minus `mean` over `scale`; the output is the logit of WRITE.
struct HeadWeights {
  std::vector<float> mean;            ///< [inputs]
  std::vector<float> scale;           ///< [inputs], above 0
  std::vector<float> hidden_weights;  ///< [hidden, inputs], row by row
  std::vector<float> hidden_bias;     ///< [hidden], followed by tanh
  std::vector<float> output_weights;  ///< [hidden]
  float output_bias = 0.F;
};

/// Writes when the perceptron's logit is above 0, when a proposal has been held back `max_hold`
/// times, or when the source has ended. Trained by tools/train/policy/train_policy.py with policy
/// gradient (Williams 1992, REINFORCE) for quality - latency weight * latency in seconds.
class TrainedHead final : public Policy {
 public:
  static constexpr std::size_t kInputs = kHeadFeatures.size() + 1;
  static constexpr std::size_t kMaxHidden = 64;

  /// `latency_weight` > 0 in errors a word for a second, `max_hold` >= 0 steps. Throws
  /// std::invalid_argument when sizes disagree or a number is not finite.
  TrainedHead(HeadWeights weights, float latency_weight, int64_t max_hold);
  Action decide(const Observation& seen) const override;
  /// Logit of WRITE before the limits.
  float write_logit(const Observation& seen) const;

 private:
  HeadWeights weights_;
  float latency_input_;  // log(latency weight), normalised
  int64_t max_hold_;
};

}  // namespace edgestream
