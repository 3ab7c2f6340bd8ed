// SPDX-License-Identifier: Apache-2.0
#include "core/policy/token_aligner.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace edgestream {
namespace {

constexpr int kMedianWidth = 7;
constexpr int kHalf = kMedianWidth / 2;

// Steps of a path: to the next token and input row, to the next token, to the next input row.
enum Move : uint8_t { kBoth, kToken, kRow };

// Of the rows around `at`, reflected at both ends.
float median(std::span<const float> rows, int at) {
  const int last = static_cast<int>(rows.size()) - 1;
  std::array<float, kMedianWidth> around;
  for (int i = 0; i < kMedianWidth; ++i) {
    const int place = std::abs(at + i - kHalf);
    around[i] = rows[place > last ? 2 * last - place : place];
  }
  std::ranges::nth_element(around, around.begin() + kHalf);
  return around[kHalf];
}

}  // namespace

std::span<const int32_t> TokenAligner::align(std::span<const float> attention, int n_heads,
                                             int n_tokens, int n_before) {
  check(attention, n_heads, n_tokens, n_before);
  const size_t n_head = attention.size() / n_heads;
  n_rows_ = static_cast<int>(n_head) / n_tokens;
  n_aligned_ = n_tokens - n_before;
  matrix_.assign(static_cast<size_t>(n_aligned_) * n_rows_, 0.F);
  for (int h = 0; h < n_heads; ++h) {
    add_head(attention.subspan(h * n_head, n_head), n_tokens, n_before);
  }
  for (float& value : matrix_) value /= static_cast<float>(n_heads);
  warp();
  trace_back();
  return begins_;
}

void TokenAligner::check(std::span<const float> attention, int n_heads, int n_tokens,
                         int n_before) const {
  const int64_t n_columns = int64_t{std::max(n_heads, 0)} * std::max(n_tokens, 0);
  if (n_columns < 1 || n_before < 0 || n_before >= n_tokens || attention.empty() ||
      std::ssize(attention) % n_columns != 0) {
    throw std::invalid_argument(
        "token aligner: needs attention [n_heads, n_tokens, n_rows] with a token behind the "
        "first n_before");
  }
  if (!std::ranges::all_of(attention, [](float x) { return std::isfinite(x); })) {
    throw std::invalid_argument("token aligner: the attention is not finite");
  }
}

void TokenAligner::normalise(std::span<const float> head, int n_tokens) {
  normal_.resize(head.size());
  const auto n_rows = static_cast<size_t>(n_rows_);
  for (size_t row = 0; row < n_rows; ++row) {
    double sum = 0;
    double squares = 0;
    for (size_t i = row; i < head.size(); i += n_rows) sum += head[i];
    const double mean = sum / n_tokens;
    for (size_t i = row; i < head.size(); i += n_rows) {
      squares += (head[i] - mean) * (head[i] - mean);
    }
    const double spread = std::sqrt(squares / n_tokens);
    for (size_t i = row; i < head.size(); i += n_rows) {
      normal_[i] = spread > 0 ? static_cast<float>((head[i] - mean) / spread) : 0.F;
    }
  }
}

void TokenAligner::add_head(std::span<const float> head, int n_tokens, int n_before) {
  normalise(head, n_tokens);
  for (int t = 0; t < n_aligned_; ++t) {
    const auto rows = std::span<const float>(normal_).subspan(
        static_cast<size_t>(n_before + t) * n_rows_, static_cast<size_t>(n_rows_));
    float* sums = matrix_.data() + static_cast<size_t>(t) * n_rows_;
    for (int row = 0; row < n_rows_; ++row) {
      sums[row] += n_rows_ > kHalf ? median(rows, row) : rows[row];
    }
  }
}

// The cheapest path through -matrix: every token and every row of input, in order.
void TokenAligner::warp() {
  const size_t height = static_cast<size_t>(n_aligned_) + 1;
  constexpr float kNever = std::numeric_limits<float>::infinity();
  costs_.assign(2 * height, kNever);
  moves_.assign((static_cast<size_t>(n_rows_) + 1) * height, kRow);
  float* before = costs_.data();
  float* now = before + height;
  before[0] = 0.F;
  for (int row = 0; row < n_rows_; ++row) {
    uint8_t* moves = moves_.data() + (static_cast<size_t>(row) + 1) * height;
    now[0] = kNever;
    moves[0] = kToken;
    for (size_t t = 1; t < height; ++t) {
      const float both = before[t - 1];
      const float token = now[t - 1];
      const float only_row = before[t];
      const bool is_both = both < token && both < only_row;
      const bool is_token = !is_both && token < both && token < only_row;
      moves[t] = is_both ? kBoth : is_token ? kToken : kRow;
      now[t] = (is_both    ? both
                : is_token ? token
                           : only_row) -
               matrix_[(t - 1) * static_cast<size_t>(n_rows_) + row];
    }
    std::swap(before, now);
  }
}

void TokenAligner::trace_back() {
  begins_.assign(n_aligned_, 0);
  int token = n_aligned_;
  int row = n_rows_;
  while (token > 0) {
    begins_[token - 1] = std::max(0, row - 1);
    const auto at = static_cast<size_t>(row) * (static_cast<size_t>(n_aligned_) + 1) + token;
    const uint8_t move = row > 0 ? moves_[at] : uint8_t{kToken};
    if (move != kRow) --token;
    if (move != kToken) --row;
  }
}

}  // namespace edgestream
