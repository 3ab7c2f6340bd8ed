// SPDX-License-Identifier: Apache-2.0
// Samplers against the distributions they promise, with fixed seeds.
#include "core/policy/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

namespace edgestream {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kDraws = 40000;

std::vector<float> random_logits(int n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.F, 1.5F);
  std::vector<float> logits(n);
  for (float& x : logits) x = normal(random);
  return logits;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  std::vector<double> p(logits.size());
  for (size_t i = 0; i < p.size(); ++i) p[i] = std::exp(logits[i] / temperature);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

std::vector<int> draw_counts(const SamplerConfig& config, const std::vector<float>& logits) {
  Sampler sampler(config, static_cast<int>(logits.size()));
  std::vector<int> counts(logits.size());
  for (int i = 0; i < kDraws; ++i) {
    auto scratch = logits;
    ++counts[sampler.choose(scratch)];
  }
  return counts;
}

// Pearson's statistic of `counts` against probabilities `p`; what has p = 0 must not be drawn.
double chi_square(const std::vector<int>& counts, const std::vector<double>& p) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      CHECK(counts[i] == 0);
      continue;
    }
    const double expected = p[i] * kDraws;
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

// Tokens left with their probabilities at `temperature`, by definition and in double.
template <typename Keep>
std::vector<double> expected_of(const std::vector<float>& logits, double temperature, Keep keep) {
  std::vector<double> p = softmax(logits, temperature);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] = keep(i) ? p[i] : 0.0;
  for (double& x : p) x /= sum;
  return p;
}

// The 99.9 % quantile for 11 degrees of freedom; fewer tokens have a smaller one.
constexpr double kChiSquareLimit = 31.3;

TEST_CASE("temperature alone draws from the softmax") {
  const auto logits = random_logits(12, 1);
  for (const float temperature : {0.5F, 1.F, 2.F}) {
    const auto counts = draw_counts({.temperature = temperature, .seed = 7}, logits);
    CHECK(chi_square(counts, softmax(logits, temperature)) < kChiSquareLimit);
  }
  // The test would see a wrong temperature.
  const auto counts = draw_counts({.temperature = 1.F, .seed = 7}, logits);
  CHECK(chi_square(counts, softmax(logits, 1.1)) > kChiSquareLimit);
}

TEST_CASE("top-k, top-p and min-p cut the distribution before the temperature") {
  const auto logits = random_logits(12, 2);
  const auto p = softmax(logits, 1.0);
  const auto likelier = [&](size_t i) {
    return std::ranges::count_if(p, [&](double other) { return other > p[i]; });
  };
  const auto mass_above = [&](size_t i) {
    double sum = 0;
    for (const double other : p) sum += other > p[i] ? other : 0.0;
    return sum;
  };
  const double best = *std::ranges::max_element(p);
  const auto check = [&](const SamplerConfig& config, auto keep) {
    const auto expected = expected_of(logits, config.temperature, keep);
    CHECK(chi_square(draw_counts(config, logits), expected) < kChiSquareLimit);
  };
  check({.temperature = 1.5F, .top_k = 4, .seed = 3}, [&](size_t i) { return likelier(i) < 4; });
  check({.temperature = 1.5F, .top_p = 0.7F, .seed = 4},
        [&](size_t i) { return mass_above(i) < 0.7; });
  check({.temperature = 1.5F, .min_p = 0.2F, .seed = 5},
        [&](size_t i) { return p[i] >= 0.2 * best; });
}

TEST_CASE("cuts keep at least the best token") {
  const auto logits = random_logits(9, 3);
  const auto best = static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
  for (const SamplerConfig& config :
       {SamplerConfig{}, SamplerConfig{.temperature = 5.F, .top_k = 1},
        SamplerConfig{.temperature = 5.F, .top_p = 1e-6F},
        SamplerConfig{.temperature = 5.F, .min_p = 1.F}, SamplerConfig{.temperature = 1e-40F}}) {
    CHECK(draw_counts(config, logits)[best] == kDraws);
  }
}

TEST_CASE("of equal logits the lower token is the better one") {
  std::vector<float> logits{0.F, 2.F, 2.F, 1.F};
  CHECK(Sampler({}, 4).choose(logits) == 1);
  CHECK(Sampler({.temperature = 1.F, .top_k = 1}, 4).choose(logits) == 1);
}

TEST_CASE("the same seed draws the same tokens, another one others, and reset starts anew") {
  const auto logits = random_logits(50, 4);
  const auto run = [&](Sampler& sampler) {
    std::vector<int32_t> tokens;
    for (int i = 0; i < 100; ++i) {
      auto scratch = logits;
      tokens.push_back(sampler.choose(scratch));
      sampler.accept(tokens.back());
    }
    return tokens;
  };
  const SamplerConfig config{.temperature = 1.F, .repetition_penalty = 1.3F, .seed = 11};
  Sampler sampler(config, 50);
  const auto tokens = run(sampler);
  sampler.reset();
  CHECK(run(sampler) == tokens);
  auto other = config;
  other.seed = 12;
  Sampler another(other, 50);
  CHECK(run(another) != tokens);
}

TEST_CASE("the uniform numbers are SplitMix64's") {
  // The first outputs for seed 1234567 as its author publishes them.
  UniformNumbers numbers(1234567);
  for (const uint64_t x : {6457827717110365317U, 3203168211198807973U, 9817491932198370423U}) {
    CHECK(numbers.next() == static_cast<double>(x >> 11) * 0x1p-53);
  }
}

TEST_CASE("the repetition penalty acts once on each token of the window") {
  std::vector<float> logits{2.F, -2.F, 1.F, -kInfinity};
  penalize_repetition(logits, std::vector<int32_t>{0, 1, 0, 3, 9, -1}, 2.F);
  CHECK(logits == std::vector<float>{1.F, -4.F, 1.F, -kInfinity});
}

TEST_CASE("a written token is penalized until it leaves the window") {
  Sampler sampler({.repetition_penalty = 3.F, .penalty_window = 2}, 3);
  const auto choose = [&] {
    std::vector<float> logits{1.F, 0.9F, 0.8F};
    const int32_t token = sampler.choose(logits);
    sampler.accept(token);
    return token;
  };
  const std::vector<int32_t> tokens{choose(), choose(), choose(), choose(), choose()};
  CHECK(tokens == std::vector<int32_t>{0, 1, 2, 0, 1});
}

TEST_CASE("masked tokens are never drawn; numbers that mean nothing are refused") {
  std::vector<float> logits{-kInfinity, 0.F, -kInfinity, 0.F};
  CHECK(chi_square(draw_counts({.temperature = 1.F}, logits), {0, 0.5, 0, 0.5}) < kChiSquareLimit);
  Sampler sampler({.temperature = 1.F}, 4);
  Sampler greedy({}, 4);
  for (const float bad : {std::nanf(""), kInfinity}) {
    std::vector<float> broken{0.F, bad, 0.F, 0.F};
    CHECK_THROWS_AS(sampler.choose(broken), std::invalid_argument);
    CHECK_THROWS_AS(greedy.choose(broken), std::invalid_argument);
  }
  std::vector<float> masked(4, -kInfinity);
  CHECK_THROWS_AS(sampler.choose(masked), std::invalid_argument);
  CHECK_THROWS_AS(greedy.choose(masked), std::invalid_argument);
}

TEST_CASE("values out of range are refused") {
  const float nan = std::nanf("");
  for (const SamplerConfig& bad :
       {SamplerConfig{.temperature = -1.F}, SamplerConfig{.temperature = nan},
        SamplerConfig{.top_k = -1}, SamplerConfig{.top_p = 0.F}, SamplerConfig{.top_p = 1.1F},
        SamplerConfig{.top_p = nan}, SamplerConfig{.min_p = -0.1F}, SamplerConfig{.min_p = nan},
        SamplerConfig{.repetition_penalty = 0.5F}, SamplerConfig{.repetition_penalty = nan},
        SamplerConfig{.penalty_window = -1}, SamplerConfig{.penalty_window = 4097}}) {
    CHECK_THROWS_AS(Sampler(bad, 4), std::invalid_argument);
  }
}

}  // namespace
}  // namespace edgestream
