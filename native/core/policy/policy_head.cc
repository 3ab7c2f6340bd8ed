// SPDX-License-Identifier: Apache-2.0
#include "core/policy/policy_head.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace edgestream {
namespace {

constexpr float kMostLogOdds = 12.F;  // as far as a float32 tells a probability from 1
constexpr int64_t kMostHeld = 8;
constexpr int64_t kMostCount = 100;

float log_odds(float probability) {
  const float odds = std::log(probability) - std::log1p(-probability);
  return std::clamp(odds, -kMostLogOdds, kMostLogOdds);  // of 0 and 1 too: infinities
}

float log_count(int64_t count) {
  return std::log1p(static_cast<float>(std::clamp<int64_t>(count, 0, kMostCount)));
}

void require_numbers(const std::vector<float>& values, std::size_t n, const char* name) {
  if (values.size() != n) {
    throw std::invalid_argument("policy head: " + std::string(name) + " has " +
                                std::to_string(values.size()) + " numbers, must have " +
                                std::to_string(n));
  }
  if (!std::ranges::all_of(values, [](float x) { return std::isfinite(x); })) {
    throw std::invalid_argument("policy head: " + std::string(name) + " holds no finite number");
  }
}

void require_fit(const HeadWeights& weights) {
  const std::size_t n_hidden = weights.hidden_bias.size();
  if (n_hidden < 1 || n_hidden > TrainedHead::kMaxHidden) {
    throw std::invalid_argument("policy head: " + std::to_string(n_hidden) +
                                " hidden units, must be 1 to " +
                                std::to_string(TrainedHead::kMaxHidden));
  }
  require_numbers(weights.mean, TrainedHead::kInputs, "mean");
  require_numbers(weights.scale, TrainedHead::kInputs, "scale");
  require_numbers(weights.hidden_weights, n_hidden * TrainedHead::kInputs, "hidden_weights");
  require_numbers(weights.hidden_bias, n_hidden, "hidden_bias");
  require_numbers(weights.output_weights, n_hidden, "output_weights");
  if (std::ranges::any_of(weights.scale, [](float x) { return x <= 0.F; })) {
    throw std::invalid_argument("policy head: scale must be above 0");
  }
  if (!std::isfinite(weights.output_bias)) {
    throw std::invalid_argument("policy head: output_bias is not finite");
  }
}

}  // namespace

std::array<float, kHeadFeatures.size()> head_features(const Observation& seen) {
  return {log_odds(seen.probability),
          seen.margin,
          seen.silence,
          seen.entropy,
          static_cast<float>(std::clamp<int64_t>(seen.held, 0, kMostHeld)),
          log_count(seen.since_write),
          log_count(seen.turn)};
}

TrainedHead::TrainedHead(HeadWeights weights, float latency_weight, int64_t max_hold)
    : weights_(std::move(weights)), max_hold_(max_hold) {
  require_fit(weights_);
  if (!(latency_weight > 0.F) || !std::isfinite(latency_weight)) {
    throw std::invalid_argument("policy head: the latency weight is " +
                                std::to_string(latency_weight) + ", must be above 0");
  }
  if (max_hold < 0) throw std::invalid_argument("policy head: max_hold must be >= 0");
  latency_input_ = (std::log(latency_weight) - weights_.mean.back()) / weights_.scale.back();
}

float TrainedHead::write_logit(const Observation& seen) const {
  std::array<float, kInputs> inputs{};
  const auto features = head_features(seen);
  for (std::size_t i = 0; i < features.size(); ++i) {
    inputs[i] = (features[i] - weights_.mean[i]) / weights_.scale[i];
  }
  inputs.back() = latency_input_;
  float logit = weights_.output_bias;
  for (std::size_t unit = 0; unit < weights_.hidden_bias.size(); ++unit) {
    float sum = weights_.hidden_bias[unit];
    for (std::size_t i = 0; i < kInputs; ++i) {
      sum += weights_.hidden_weights[unit * kInputs + i] * inputs[i];
    }
    logit += weights_.output_weights[unit] * std::tanh(sum);
  }
  return logit;
}

Action TrainedHead::decide(const Observation& seen) const {
  const bool write = seen.finished || seen.held >= max_hold_ || write_logit(seen) > 0.F;
  return write ? Action::kWrite : Action::kRead;
}

}  // namespace edgestream
