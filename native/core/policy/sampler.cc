// SPDX-License-Identifier: Apache-2.0
#include "core/policy/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

void require(bool in_range, const char* name, double value, const char* range) {
  if (in_range) return;
  throw std::invalid_argument(std::string("sampler: ") + name + " is " + std::to_string(value) +
                              ", must be " + range);
}

const SamplerConfig& checked(const SamplerConfig& c) {
  require(c.temperature >= 0.F && c.temperature <= 100.F, "temperature", c.temperature,
          "from 0 (greedy) to 100");
  require(c.top_k >= 0, "top_k", c.top_k, ">= 0 (0: all tokens)");
  require(c.top_p > 0.F && c.top_p <= 1.F, "top_p", c.top_p, "above 0 and at most 1");
  require(c.min_p >= 0.F && c.min_p <= 1.F, "min_p", c.min_p, "from 0 to 1");
  require(c.repetition_penalty >= 1.F && c.repetition_penalty <= 100.F, "repetition_penalty",
          c.repetition_penalty, "from 1 (none) to 100");
  require(c.penalty_window >= 0 && c.penalty_window <= 4096, "penalty_window", c.penalty_window,
          "from 0 to 4096 tokens");
  return c;
}

// exp(logit - best) of a candidate, in double: sums of many small ones stay exact.
double weight(const Candidate& candidate, const Candidate& best) {
  return std::exp(static_cast<double>(candidate.logit) - best.logit);
}

void check_logits(std::span<const float> logits) {
  bool any = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] < std::numeric_limits<float>::infinity())) {
      throw std::invalid_argument("sampler: the logit of token " + std::to_string(i) +
                                  " is not a finite number");
    }
    any = any || logits[i] > kMasked;
  }
  if (!any) throw std::invalid_argument("sampler: every token is masked, none can be chosen");
}

}  // namespace

void penalize_repetition(std::span<float> logits, std::span<const int32_t> recent, float penalty) {
  if (penalty == 1.F) return;
  for (size_t i = 0; i < recent.size(); ++i) {
    const bool seen = std::ranges::find(recent.first(i), recent[i]) != recent.begin() + i;
    if (seen || recent[i] < 0 || static_cast<size_t>(recent[i]) >= logits.size()) continue;
    float& logit = logits[recent[i]];
    logit = logit > 0.F ? logit / penalty : logit * penalty;
  }
}

size_t keep_top_k(std::span<Candidate> candidates, int k) {
  const auto masked =
      std::ranges::partition(candidates, [](const Candidate& c) { return c.logit > kMasked; });
  const size_t possible = candidates.size() - masked.size();
  const size_t n = k > 0 ? std::min(possible, static_cast<size_t>(k)) : possible;
  std::ranges::partial_sort(candidates.first(possible),
                            candidates.begin() + static_cast<std::ptrdiff_t>(n),
                            [](const Candidate& a, const Candidate& b) {
                              return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
                            });
  return n;
}

size_t keep_top_p(std::span<const Candidate> candidates, float p) {
  if (p >= 1.F) return candidates.size();
  double sum = 0;
  for (const Candidate& c : candidates) sum += weight(c, candidates.front());
  double reached = 0;
  for (size_t n = 0; n < candidates.size(); ++n) {
    reached += weight(candidates[n], candidates.front());
    if (reached >= p * sum) return n + 1;
  }
  return candidates.size();
}

size_t keep_min_p(std::span<const Candidate> candidates, float p) {
  const auto too_rare = [&](const Candidate& c) { return weight(c, candidates.front()) < p; };
  return std::ranges::find_if(candidates, too_rare) - candidates.begin();
}

double UniformNumbers::next() {
  state_ += 0x9E3779B97F4A7C15U;
  uint64_t x = state_;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1p-53;
}

Sampler::Sampler(const SamplerConfig& config, int n_vocab)
    : config_(checked(config)),
      uniform_(config.seed),
      candidates_(config.temperature > 0.F ? n_vocab : 0),
      weights_(candidates_.size()),
      recent_(config.repetition_penalty > 1.F ? config.penalty_window : 0) {}

int32_t Sampler::choose(std::span<float> logits) {
  check_logits(logits);
  penalize_repetition(logits, std::span(recent_).first(std::min(n_written_, recent_.size())),
                      config_.repetition_penalty);
  if (config_.temperature == 0.F) {
    return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
  }
  return draw(logits);
}

int32_t Sampler::draw(std::span<const float> logits) {
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates_[i] = {static_cast<int32_t>(i), logits[i]};
  }
  auto left = std::span(candidates_).first(logits.size());
  left = left.first(keep_top_k(left, config_.top_k));
  left = left.first(keep_top_p(left, config_.top_p));
  left = left.first(keep_min_p(left, config_.min_p));
  double sum = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    sum += weights_[i] = std::pow(weight(left[i], left.front()), 1.0 / config_.temperature);
  }
  double rest = uniform_.next() * sum;
  for (size_t i = 0; i < left.size(); ++i) {
    if (rest < weights_[i]) return left[i].token;
    rest -= weights_[i];
  }
  return left.front().token;  // rounding alone leads here
}

void Sampler::accept(int32_t token) {
  if (recent_.empty()) return;
  recent_[n_written_ % recent_.size()] = token;
  ++n_written_;
}

void Sampler::reset() {
  uniform_ = UniformNumbers(config_.seed);
  n_written_ = 0;
}

}  // namespace edgestream
