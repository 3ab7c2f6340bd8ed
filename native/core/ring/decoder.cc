// SPDX-License-Identifier: Apache-2.0
#include "core/ring/decoder.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

void check_embeddings(std::span<const float> embeddings, size_t width) {
  if (embeddings.empty() || embeddings.size() % width != 0) {
    throw std::invalid_argument("decoder: got " + std::to_string(embeddings.size()) +
                                " numbers, a step takes one or more rows of " +
                                std::to_string(width));
  }
  for (size_t at = 0; at < embeddings.size(); at += width) {
    // The first norm sums the squares; where that overflows it would silently make zeros of a row.
    float squares = 0.F;
    for (const float x : embeddings.subspan(at, width)) squares += x * x;
    if (!std::isfinite(squares)) {
      throw std::invalid_argument("decoder: row " + std::to_string(at / width) +
                                  " of the step holds a number that is not finite or too large");
    }
  }
}

void check_axes(const RegionRows& group, size_t n_rows, bool has_axes) {
  constexpr int32_t kMaxAxis = 1 << 20;
  if (!has_axes) {
    throw std::invalid_argument("decoder: this model's positions have one axis; give rows alone");
  }
  if (group.axes.size() != n_rows * kAxes) {
    throw std::invalid_argument("decoder: got " + std::to_string(group.axes.size()) +
                                " numbers on axes for " + std::to_string(n_rows) +
                                " rows; each has " + std::to_string(kAxes));
  }
  for (const int32_t axis : group.axes) {
    if (axis >= 0 && axis <= kMaxAxis) continue;
    throw std::invalid_argument("decoder: a row is at " + std::to_string(axis) +
                                " on an axis, it must be 0 to " + std::to_string(kMaxAxis));
  }
}

}  // namespace

void Decoder::require_region(int region) const {
  if (region >= 0 && region < n_regions()) return;
  throw std::invalid_argument("decoder: there is no region " + std::to_string(region) +
                              "; this decoder has " + std::to_string(n_regions()));
}

void Decoder::append_embeddings(std::span<const int32_t> tokens, std::vector<float>& rows) const {
  const auto width = static_cast<size_t>(n_embd());
  for (const int32_t token : tokens) {
    rows.resize(rows.size() + width);
    token_embedding(token, std::span(rows).last(width));
  }
}

int64_t Decoder::checked_rows(std::span<const RegionRows> groups) const {
  const auto width = static_cast<size_t>(n_embd());
  size_t n_rows = 0;
  for (const RegionRows& group : groups) {
    require_region(group.region);
    check_embeddings(group.embeddings, width);
    if (!group.axes.empty()) check_axes(group, group.embeddings.size() / width, has_axes());
    n_rows += group.embeddings.size() / width;
  }
  if (n_rows == 0) throw std::invalid_argument("decoder: a step takes one or more groups of rows");
  return static_cast<int64_t>(n_rows);
}

}  // namespace edgestream
