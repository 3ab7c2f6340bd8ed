// SPDX-License-Identifier: Apache-2.0
#include "core/ring/proposal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

namespace edgestream {

namespace {

// A vocabulary may have 262,144 tokens: so many are worked on side by side, as compilers like it.
constexpr size_t kLanes = 32;
constexpr double kLeast = -700.0;  // exp() of less is as good as 0
using Lanes = std::array<double, kLanes>;

// exp(x) for kLeast <= x <= 0 within 1e-11 of itself: a power of two times a polynomial, without a
// branch, so that the compiler computes several at once.
double exp_of(double x) {
  constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453;
  constexpr double kRounds = 0x1.8p52;  // added to a small number it leaves whole ones
  const double shifted = x * kLog2E + kRounds;
  const double r = x - (shifted - kRounds) * kLn2;
  double sum = 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  const auto exponent = std::bit_cast<uint64_t>(shifted) + 1023;
  return sum * std::bit_cast<double>(exponent << 52);
}

// The largest logit and the second largest.
std::pair<float, float> greatest_two(std::span<const float> logits) {
  std::array<float, kLanes> best, second;
  best.fill(-std::numeric_limits<float>::infinity());
  second = best;
  const auto take = [&](size_t lane, float x) {
    second[lane] = std::max(second[lane], std::min(best[lane], x));
    best[lane] = std::max(best[lane], x);
  };
  const size_t n_whole = logits.size() / kLanes * kLanes;
  for (size_t at = 0; at < n_whole; at += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) take(lane, logits[at + lane]);
  }
  for (size_t at = n_whole; at < logits.size(); ++at) take(at - n_whole, logits[at]);
  for (size_t lane = 1; lane < kLanes; ++lane) {
    take(0, best[lane]);
    take(0, second[lane]);
  }
  return {best[0], second[0]};
}

// How far the logits from `at` on lie below the best; a place without a token counts as masked.
Lanes below_best(std::span<const float> logits, size_t at, double best) {
  Lanes below;
  below.fill(kLeast);
  const size_t n = std::min(kLanes, logits.size() - at);
  for (size_t lane = 0; lane < n; ++lane) below[lane] = logits[at + lane] - best;
  for (double& x : below) x = std::max(x, kLeast);
  return below;
}

}  // namespace

Distribution::Distribution(std::span<const float> logits) {
  std::tie(best_, second_) = greatest_two(logits);
  Lanes sums{}, weighted{};
  for (size_t at = 0; at < logits.size(); at += kLanes) {
    const Lanes below = below_best(logits, at, best_);
    Lanes e;
    for (size_t lane = 0; lane < kLanes; ++lane) e[lane] = exp_of(below[lane]);
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += e[lane];
    for (size_t lane = 0; lane < kLanes; ++lane) weighted[lane] += e[lane] * below[lane];
  }
  sum_ = std::accumulate(sums.begin(), sums.end(), 0.0);
  weighted_ = std::accumulate(weighted.begin(), weighted.end(), 0.0);
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
