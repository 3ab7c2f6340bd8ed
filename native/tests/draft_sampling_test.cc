// SPDX-License-Identifier: Apache-2.0
// What is sampled with drafts is distributed as what is sampled without. A draft names one token
// with certainty, so speculative sampling (Leviathan et al. 2023, Chen et al. 2023) is to draw from
// the target's distribution p and to go on with the batch when the draft was drawn: the draft x is
// accepted with probability p(x), and otherwise the token is drawn from p without x.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/loop/interleaved_loop.h"
#include "toy_stream.h"

namespace edgestream {
namespace {

constexpr int kTrials = 10000;
constexpr int kDrafted = 2;
using Law = std::vector<double>;

// Guesses the same token again and again, whatever was seen.
class StubbornDrafter final : public Drafter {
 public:
  explicit StubbornDrafter(int32_t guess) : guess_(guess) {}
  void see(int32_t) override {}
  int draft(std::span<int32_t> out) override {
    std::ranges::fill(out, guess_);
    return static_cast<int>(out.size());
  }
  void reset() override {}

 private:
  const int32_t guess_;
};

// Probabilities of the sampler, in double: the top_k best tokens at the temperature.
Law law_of(std::span<const float> logits, const SamplerConfig& sampler) {
  std::vector<float> sorted(logits.begin(), logits.end());
  std::ranges::sort(sorted, std::greater());
  Law p(logits.size());
  for (size_t i = 0; i < p.size(); ++i) {
    const bool kept = logits[i] >= sorted[sampler.top_k - 1];
    p[i] = kept ? std::exp((logits[i] - sorted[0]) / sampler.temperature) : 0.0;
  }
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

Law law_after(Decoder& decoder, int32_t token, const SamplerConfig& sampler) {
  std::vector<float> row(kToyWidth);
  decoder.token_embedding(token, row);
  return law_of(decoder.step(row), sampler);
}

// [second, third] token written behind `unit`. The first is proposed alone; behind it two more are
// drafted.
Law joint_law(std::span<const float> unit, const SamplerConfig& sampler) {
  Law joint(kToyVocab * kToyVocab);
  ToyDecoder decoder;
  const Law first = law_of(decoder.step(unit), sampler);
  for (int a = 0; a < kToyVocab; ++a) {
    const auto after_a = decoder.fork();
    const Law second = law_after(*after_a, a, sampler);
    for (int b = 0; b < kToyVocab; ++b) {
      const Law third = law_after(*after_a->fork(), b, sampler);
      for (int c = 0; c < kToyVocab; ++c) {
        joint[b * kToyVocab + c] += first[a] * second[b] * third[c];
      }
    }
  }
  return joint;
}

// Pearson's statistic less its degrees of freedom, in standard deviations. Cells that are expected
// less than five times count as one; what cannot be must not come.
double deviation(const std::vector<int>& counts, const Law& law) {
  double sum = 0, rare_seen = 0, rare_expected = 0;
  int cells = 0;
  const auto add = [&](double seen, double expected) {
    sum += (seen - expected) * (seen - expected) / expected;
    ++cells;
  };
  for (size_t i = 0; i < law.size(); ++i) {
    const double expected = law[i] * kTrials;
    if (expected == 0) CHECK(counts[i] == 0);
    if (expected >= 5) {
      add(counts[i], expected);
    } else {
      rare_seen += counts[i];
      rare_expected += expected;
    }
  }
  if (rare_expected > 0) add(rare_seen, rare_expected);
  return (sum - (cells - 1)) / std::sqrt(2.0 * (cells - 1));
}

// Of the second token alone.
Law second_law(const Law& joint) {
  Law second(kToyVocab);
  for (size_t i = 0; i < joint.size(); ++i) second[i / kToyVocab] += joint[i];
  return second;
}

TEST_CASE("with drafts tokens are distributed as the sampler draws them") {
  const EagerPolicy policy;
  const auto unit = toy_rows(1, 4);
  const SamplerConfig sampler{.temperature = 1.3F, .top_k = 7};
  const Law law = joint_law(unit, sampler);
  const Law second = second_law(law);
  const auto guess = static_cast<int32_t>(std::ranges::max_element(second) - second.begin());
  std::vector<int> counts(law.size());
  int n_guessed = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    InterleavedConfig config;
    config.loop.max_tokens_per_unit = 3;
    config.loop.max_tokens_at_end = 0;
    config.loop.sampler = sampler;
    config.loop.sampler.seed = trial;
    config.n_draft = kDrafted;
    StubbornDrafter drafter(guess);
    ToyDecoder decoder;
    InterleavedLoop loop(decoder, policy, config, &drafter);
    const auto written = loop.push(unit);
    REQUIRE(written.size() == 3);
    ++counts[written[1].token * kToyVocab + written[2].token];
    n_guessed += written[1].token == guess;
    CHECK((loop.draft_counts().verified > 0) ==
          (written[1].token == guess || written[2].token == guess));
  }
  CHECK(deviation(counts, law) < 4);
  // The guess comes as often as it is probable, no more for having been guessed.
  const double p = second[guess];
  CHECK(std::abs(n_guessed - p * kTrials) < 4 * std::sqrt(p * (1 - p) * kTrials));
  // The test would see a rule that takes the guess a quarter more often.
  Law favoured = law;
  for (size_t i = 0; i < law.size(); ++i) {
    const bool guessed = static_cast<int32_t>(i) / kToyVocab == guess;
    favoured[i] *= guessed ? 1.25 : (1 - 1.25 * p) / (1 - p);
  }
  CHECK(deviation(counts, favoured) > 4);
}

}  // namespace
}  // namespace edgestream
