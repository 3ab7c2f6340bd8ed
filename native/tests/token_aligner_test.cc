// SPDX-License-Identifier: Apache-2.0
#include "core/policy/token_aligner.h"

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>
#include <vector>

using edgestream::TokenAligner;

namespace {

constexpr int kRowsPerToken = 10;

// Token t looks at the ten rows from 10 * t on.
std::vector<float> stairs(int n_heads, int n_tokens) {
  const int n_rows = n_tokens * kRowsPerToken;
  std::vector<float> attention;
  for (int i = 0; i < n_heads * n_tokens * n_rows; ++i) {
    const int token = i / n_rows % n_tokens;
    attention.push_back(i % n_rows / kRowsPerToken == token ? 0.09F : 0.01F);
  }
  return attention;
}

}  // namespace

TEST_CASE("tokens begin where they are looked at") {
  TokenAligner aligner;
  const auto begins = aligner.align(stairs(2, 5), 2, 5, 0);
  CHECK(std::vector<int32_t>(begins.begin(), begins.end()) ==
        std::vector<int32_t>{0, 10, 20, 30, 40});
}

TEST_CASE("a prompt is not aligned, and the first token behind it takes its rows") {
  TokenAligner aligner;
  const auto begins = aligner.align(stairs(1, 5), 1, 5, 2);
  CHECK(std::vector<int32_t>(begins.begin(), begins.end()) == std::vector<int32_t>{0, 30, 40});
}

TEST_CASE("more tokens than rows, and rows fewer than the median is wide") {
  TokenAligner aligner;
  const std::vector<float> attention(6, 0.5F);
  for (int n_rows = 1; n_rows <= 3; ++n_rows) {
    const auto begins = aligner.align(attention, 1, 6 / n_rows, 0);
    CHECK(begins.size() == static_cast<size_t>(6 / n_rows));
    CHECK(begins.front() == 0);
    CHECK(begins.back() < n_rows);
  }
}

TEST_CASE("what is no attention is refused") {
  TokenAligner aligner;
  const std::vector<float> attention(12, 0.5F);
  CHECK_THROWS_AS(aligner.align(attention, 0, 3, 0), std::invalid_argument);
  CHECK_THROWS_AS(aligner.align(attention, 1, 5, 0), std::invalid_argument);
  CHECK_THROWS_AS(aligner.align(attention, 1, 3, 3), std::invalid_argument);
  CHECK_THROWS_AS(aligner.align({}, 1, 3, 0), std::invalid_argument);
  const std::vector<float> none(12, std::numeric_limits<float>::infinity());
  CHECK_THROWS_AS(aligner.align(none, 1, 3, 0), std::invalid_argument);
}
