// SPDX-License-Identifier: Apache-2.0
#include "core/picture/token_gate.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

constexpr std::size_t kMaxValues = std::size_t{1} << 28;

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("token gate: " + what);
}

std::size_t checked_values(std::size_t n_cells, std::size_t n_embd) {
  if (n_cells >= 1 && n_embd >= 1 && n_cells <= kMaxValues / n_embd) return n_cells * n_embd;
  refuse("a grid of " + std::to_string(n_cells) + " cells of " + std::to_string(n_embd) +
         " values; it must have 1 to " + std::to_string(kMaxValues) + " values");
}

float checked_cosine(float max_cosine) {
  if (max_cosine >= -1.0F && max_cosine <= 1.0F) return max_cosine;
  refuse("max_cosine is " + std::to_string(max_cosine) + "; it must be -1 to 1");
}

std::int64_t checked_rows(const char* name, std::int64_t n_rows) {
  if (n_rows >= 0 && n_rows <= std::int64_t{1} << 40) return n_rows;
  refuse(std::string(name) + " is " + std::to_string(n_rows) + "; it must be 0 to 2^40");
}

void expect_size(const char* name, std::size_t n_values, std::size_t expected) {
  if (n_values == expected) return;
  refuse(std::string(name) + " has " + std::to_string(n_values) + " values, need " +
         std::to_string(expected));
}

/// NaN where one of them has no direction.
double cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0.0;
  double square_a = 0.0;
  double square_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    square_a += static_cast<double>(a[i]) * a[i];
    square_b += static_cast<double>(b[i]) * b[i];
  }
  return dot / std::sqrt(square_a * square_b);
}

}  // namespace

TokenGate::TokenGate(std::size_t n_cells, std::size_t n_embd, float max_cosine,
                     std::int64_t memory_rows, std::int64_t rows_besides)
    : n_cells_(n_cells),
      n_embd_(n_embd),
      max_cosine_(checked_cosine(max_cosine)),
      memory_rows_(checked_rows("memory_rows", memory_rows)),
      rows_besides_(checked_rows("rows_besides", rows_besides)),
      kept_(checked_values(n_cells, n_embd)),
      kept_at_(n_cells) {}

// Once all of the next picture has entered.
bool TokenGate::may_be_lost(std::size_t cell) const noexcept {
  const std::int64_t next = static_cast<std::int64_t>(n_cells_) + rows_besides_;
  return memory_rows_ > 0 && rows_ + next - kept_at_[cell] > memory_rows_;
}

std::size_t TokenGate::push(std::span<const float> embeddings, std::span<std::uint8_t> kept) {
  expect_size("grid of embeddings", embeddings.size(), kept_.size());
  expect_size("map of kept cells", kept.size(), n_cells_);
  const auto max_cosine = static_cast<double>(max_cosine_);
  std::size_t n_kept = 0;
  for (std::size_t cell = 0; cell < n_cells_; ++cell) {
    const auto now = embeddings.subspan(cell * n_embd_, n_embd_);
    const auto last = std::span(kept_).subspan(cell * n_embd_, n_embd_);
    const bool is_new = pictures_ == 0 || !(cosine(now, last) > max_cosine);
    kept[cell] = is_new || may_be_lost(cell) ? 1 : 0;
    if (kept[cell] == 0) continue;
    kept_at_[cell] = rows_;
    std::copy(now.begin(), now.end(), last.begin());
    ++n_kept;
  }
  ++pictures_;
  kept_embeddings_ += static_cast<std::int64_t>(n_kept);
  if (n_kept > 0) rows_ += static_cast<std::int64_t>(n_kept) + rows_besides_;
  return n_kept;
}

void TokenGate::reset() noexcept {
  pictures_ = 0;
  kept_embeddings_ = 0;
  rows_ = 0;
}

double TokenGate::drop_ratio() const noexcept {
  if (pictures_ == 0) return 0.0;
  const auto seen = static_cast<double>(pictures_) * static_cast<double>(n_cells_);
  return 1.0 - static_cast<double>(kept_embeddings_) / seen;
}

}  // namespace edgestream
