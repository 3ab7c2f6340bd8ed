// SPDX-License-Identifier: Apache-2.0
#include "core/policy/policy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>

namespace edgestream {
namespace {

TEST_CASE("wait-k writes once k units more are read than written") {
  const WaitK policy(3);
  for (int64_t written = 0; written < 5; ++written) {
    CHECK(policy.decide({.read = written + 2, .written = written}) == Action::kRead);
    CHECK(policy.decide({.read = written + 3, .written = written}) == Action::kWrite);
  }
}

TEST_CASE("wait-k with a stride writes so many tokens at a time") {
  const WaitK policy(3, 2);
  for (int64_t written = 0; written < 8; ++written) {
    const int64_t needed = 3 + written / 2 * 2;
    CHECK(policy.decide({.read = needed - 1, .written = written}) == Action::kRead);
    CHECK(policy.decide({.read = needed, .written = written}) == Action::kWrite);
  }
}

TEST_CASE("wait-k catches up when the source has ended") {
  CHECK(WaitK(3).decide({.read = 1, .finished = true}) == Action::kWrite);
}

TEST_CASE("the confidence threshold holds back for max_hold steps at most") {
  const ConfidenceThreshold policy(1, 0.5F, 2);
  const auto decide = [&](float probability, int64_t held) {
    return policy.decide({.read = 9, .held = held, .probability = probability});
  };
  CHECK(decide(0.49F, 0) == Action::kRead);
  CHECK(decide(0.49F, 1) == Action::kRead);
  CHECK(decide(0.49F, 2) == Action::kWrite);
  CHECK(decide(0.50F, 0) == Action::kWrite);
}

TEST_CASE("the confidence threshold obeys its delay and lets go at the end") {
  const ConfidenceThreshold policy(5, 0.5F, 2);
  CHECK(policy.decide({.read = 4, .probability = 1.F}) == Action::kRead);
  CHECK(policy.decide({.read = 1, .finished = true, .probability = 0.F}) == Action::kWrite);
}

// Drawn from everything that a loop may show.
Observation random_observation(std::mt19937& random) {
  std::uniform_real_distribution<float> score(0.F, 1.F);
  std::uniform_int_distribution<int64_t> count(0, 9);
  const float probability = score(random);
  return {.read = count(random),
          .written = count(random),
          .held = count(random),
          .turn = count(random),
          .since_write = count(random),
          .agreed = count(random),
          .attended_lag = count(random),
          .finished = count(random) == 0,
          .writing = count(random) < 5,
          .probability = probability,
          .margin = probability * score(random),
          .silence = score(random),
          .entropy = 7 * score(random),
          .outside = score(random)};
}

bool writes(const Policy& policy, const Observation& seen) {
  return policy.decide(seen) == Action::kWrite;
}

TEST_CASE("a stricter threshold never writes more") {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> score(0.F, 1.F);
  std::uniform_int_distribution<int64_t> count(1, 9);
  for (int i = 0; i < 2000; ++i) {
    const Observation seen = random_observation(random);
    const auto [low, high] = std::minmax({score(random), score(random)});
    const auto [few, many] = std::minmax({count(random), count(random)});
    CHECK(writes(WaitK(few), seen) >= writes(WaitK(many), seen));
    CHECK(writes(ConfidenceThreshold(few, low, 5), seen) >=
          writes(ConfidenceThreshold(few, high, 5), seen));
    CHECK(writes(EntropyThreshold(few, high, 5), seen) >=
          writes(EntropyThreshold(few, low, 5), seen));
    CHECK(writes(SilenceThreshold(high), seen) >= writes(SilenceThreshold(low), seen));
    CHECK(writes(SilenceThreshold(low, 0.1F), seen) >= writes(SilenceThreshold(low), seen));
    CHECK(writes(LocalAgreement(few), seen) >= writes(LocalAgreement(many), seen));
    CHECK(writes(AlignAtt(few), seen) >= writes(AlignAtt(many), seen));
    CHECK(writes(OutsideThreshold(low), seen) >= writes(OutsideThreshold(high), seen));
  }
}

TEST_CASE("inside the band hysteresis keeps on doing what it did") {
  std::mt19937 random(2);
  const ConfidenceThreshold confidence(0, 0.7F, 1000, 0.4F);
  const EntropyThreshold entropy(0, 2.F, 1000, 3.F);
  const OutsideThreshold outside(0.7F, 0.4F);
  int inside = 0;
  for (int i = 0; i < 2000; ++i) {
    Observation seen = random_observation(random);
    seen.finished = false;
    seen.read = 100;
    if (seen.probability >= 0.4F && seen.probability < 0.7F) {
      CHECK(writes(confidence, seen) == seen.writing);
      ++inside;
    }
    if (seen.entropy > 2.F && seen.entropy <= 3.F) CHECK(writes(entropy, seen) == seen.writing);
    if (seen.outside >= 0.4F && seen.outside < 0.7F) CHECK(writes(outside, seen) == seen.writing);
  }
  CHECK(inside > 100);
}

TEST_CASE("silence must win and be sure; the longer the turn, the surer") {
  const SilenceThreshold policy(0.5F, 0.1F);
  const auto decide = [&](float silence, float probability, int64_t turn) {
    return policy.decide({.turn = turn, .probability = probability, .silence = silence});
  };
  CHECK(decide(0.5F, 0.5F, 0) == Action::kWrite);
  CHECK(decide(0.6F, 0.6F, 0) == Action::kRead);
  CHECK(decide(0.6F, 0.6F, 2) == Action::kWrite);
  const SilenceThreshold eager(0.1F);
  CHECK(eager.decide({.probability = 0.6F, .silence = 0.3F}) == Action::kWrite);
}

TEST_CASE("local agreement writes what is agreed, AlignAtt what lies far enough back") {
  CHECK(LocalAgreement().decide({.agreed = 1}) == Action::kWrite);
  CHECK(LocalAgreement().decide({.agreed = 0}) == Action::kRead);
  CHECK(LocalAgreement().decide({.agreed = 0, .finished = true}) == Action::kWrite);
  CHECK(AlignAtt(4).decide({.attended_lag = 3}) == Action::kRead);
  CHECK(AlignAtt(4).decide({.attended_lag = 4}) == Action::kWrite);
  CHECK(AlignAtt(4).decide({.attended_lag = 0, .finished = true}) == Action::kWrite);
}

TEST_CASE("a policy that is not shown what it decides by says so") {
  CHECK_THROWS_AS(LocalAgreement().decide({}), std::invalid_argument);
  CHECK_THROWS_AS(AlignAtt(1).decide({}), std::invalid_argument);
  CHECK_THROWS_AS(OutsideThreshold(0.F).decide({}), std::invalid_argument);
}

TEST_CASE("all of and any of are the and and the or of their policies") {
  std::mt19937 random(3);
  const WaitK wait(4);
  const ConfidenceThreshold confidence(0, 0.5F, 5);
  const AllOf all({&wait, &confidence});
  const AnyOf any({&wait, &confidence});
  for (int i = 0; i < 500; ++i) {
    const Observation seen = random_observation(random);
    CHECK(writes(all, seen) == (writes(wait, seen) && writes(confidence, seen)));
    CHECK(writes(any, seen) == (writes(wait, seen) || writes(confidence, seen)));
  }
}

TEST_CASE("values that make no sense are refused") {
  const float nan = __builtin_nanf("");
  CHECK_THROWS_AS(WaitK(-1), std::invalid_argument);
  CHECK_THROWS_AS(WaitK(INT64_MAX), std::invalid_argument);
  CHECK_THROWS_AS(WaitK(1, 0), std::invalid_argument);
  CHECK_THROWS_AS(ConfidenceThreshold(0, 1.5F, 1), std::invalid_argument);
  CHECK_THROWS_AS(ConfidenceThreshold(0, nan, 1), std::invalid_argument);
  CHECK_THROWS_AS(ConfidenceThreshold(0, 0.5F, -1), std::invalid_argument);
  CHECK_THROWS_AS(ConfidenceThreshold(0, 0.5F, 1, 0.6F), std::invalid_argument);
  CHECK_THROWS_AS(EntropyThreshold(0, nan, 1), std::invalid_argument);
  CHECK_THROWS_AS(EntropyThreshold(0, 2.F, 1, 1.F), std::invalid_argument);
  CHECK_THROWS_AS(SilenceThreshold(-0.1F), std::invalid_argument);
  CHECK_THROWS_AS(SilenceThreshold(0.5F, nan), std::invalid_argument);
  CHECK_THROWS_AS(LocalAgreement(0), std::invalid_argument);
  CHECK_THROWS_AS(AlignAtt(0), std::invalid_argument);
  CHECK_THROWS_AS(OutsideThreshold{nan}, std::invalid_argument);
  CHECK_THROWS_AS(OutsideThreshold(0.5F, 0.6F), std::invalid_argument);
  CHECK_THROWS_AS(AllOf({}), std::invalid_argument);
  CHECK_THROWS_AS(AnyOf({nullptr}), std::invalid_argument);
}

}  // namespace
}  // namespace edgestream
