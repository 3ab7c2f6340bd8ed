// SPDX-License-Identifier: Apache-2.0
#include "core/policy/policy_head.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace edgestream {
namespace {

constexpr std::size_t kInputs = TrainedHead::kInputs;

// Two hidden units: one of the log odds, one of the latency weight.
HeadWeights small_head() {
  HeadWeights weights{.mean = std::vector<float>(kInputs, 0.5F),
                      .scale = std::vector<float>(kInputs, 2.F),
                      .hidden_weights = std::vector<float>(2 * kInputs, 0.F),
                      .hidden_bias = {0.25F, 0.F},
                      .output_weights = {2.F, 3.F},
                      .output_bias = -0.5F};
  weights.hidden_weights[0] = 1.5F;
  weights.hidden_weights[2 * kInputs - 1] = 1.F;
  return weights;
}

TEST_CASE("features are as documented and stay finite at the ends") {
  const auto f = head_features({.held = 2,
                                .turn = 3,
                                .since_write = 7,
                                .probability = 0.8F,
                                .margin = 0.7F,
                                .silence = 0.1F,
                                .entropy = 0.9F});
  CHECK(f[0] == doctest::Approx(std::log(4.0)));
  CHECK(f[1] == 0.7F);
  CHECK(f[2] == 0.1F);
  CHECK(f[3] == 0.9F);
  CHECK(f[4] == 2.F);
  CHECK(f[5] == doctest::Approx(std::log(8.0)));
  CHECK(f[6] == doctest::Approx(std::log(4.0)));
  for (const float probability : {0.F, 1.F}) {
    const auto ends = head_features({.held = 1LL << 60,
                                     .turn = 1LL << 60,
                                     .since_write = 1LL << 60,
                                     .probability = probability});
    for (const float x : ends) CHECK(std::isfinite(x));
    CHECK(ends[4] == 8.F);
    CHECK(ends[5] == doctest::Approx(std::log(101.0)));
  }
}

TEST_CASE("the logit is that of the perceptron") {
  const TrainedHead head(small_head(), 0.2F, 3);
  const Observation seen{.probability = 0.8F};
  const double first = std::tanh(1.5 * (std::log(4.0) - 0.5) / 2 + 0.25);
  const double second = std::tanh((std::log(0.2) - 0.5) / 2);
  CHECK(head.write_logit(seen) == doctest::Approx(2 * first + 3 * second - 0.5).epsilon(1e-5));
}

TEST_CASE("it writes above 0, at the limit and at the end") {
  HeadWeights weights = small_head();
  weights.output_bias = -100.F;
  const TrainedHead never(weights, 1.F, 2);
  CHECK(never.decide({.held = 1}) == Action::kRead);
  CHECK(never.decide({.held = 2}) == Action::kWrite);
  CHECK(never.decide({.held = 1, .finished = true}) == Action::kWrite);
  weights.output_bias = 100.F;
  CHECK(TrainedHead(weights, 1.F, 2).decide({}) == Action::kWrite);
}

TEST_CASE("weights that do not fit are refused") {
  const auto refused = [](auto change) {
    HeadWeights weights = small_head();
    change(weights);
    CHECK_THROWS_AS(TrainedHead(weights, 1.F, 1), std::invalid_argument);
  };
  refused([](HeadWeights& w) { w.mean.pop_back(); });
  refused([](HeadWeights& w) { w.scale[3] = 0.F; });
  refused([](HeadWeights& w) { w.scale[3] = std::numeric_limits<float>::infinity(); });
  refused([](HeadWeights& w) { w.hidden_weights.push_back(0.F); });
  refused([](HeadWeights& w) { w.hidden_weights[0] = std::numeric_limits<float>::quiet_NaN(); });
  refused([](HeadWeights& w) { w.hidden_bias.clear(); });
  refused([](HeadWeights& w) { w.hidden_bias.resize(TrainedHead::kMaxHidden + 1); });
  refused([](HeadWeights& w) { w.output_weights.clear(); });
  refused([](HeadWeights& w) { w.output_bias = std::numeric_limits<float>::quiet_NaN(); });
  CHECK_THROWS_AS(TrainedHead(small_head(), 0.F, 1), std::invalid_argument);
  CHECK_THROWS_AS(TrainedHead(small_head(), 1.F, -1), std::invalid_argument);
}

}  // namespace
}  // namespace edgestream
