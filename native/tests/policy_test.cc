// SPDX-License-Identifier: Apache-2.0
#include "core/policy.h"

#include <doctest/doctest.h>

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

TEST_CASE("values that make no sense are refused") {
  CHECK_THROWS_AS(WaitK(-1), std::invalid_argument);
  CHECK_THROWS_AS(ConfidenceThreshold(0, 1.5F, 1), std::invalid_argument);
  CHECK_THROWS_AS(ConfidenceThreshold(0, __builtin_nanf(""), 1), std::invalid_argument);
  CHECK_THROWS_AS(ConfidenceThreshold(0, 0.5F, -1), std::invalid_argument);
}

}  // namespace
}  // namespace edgestream
