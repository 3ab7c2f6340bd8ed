// SPDX-License-Identifier: Apache-2.0
// Rows of groups as one run.
#pragma once

#include <algorithm>
#include <span>

#include "core/ring/decoder.h"

namespace edgestream {

/// Walks over the rows of groups, one after the other.
class RowWalk {
 public:
  RowWalk(std::span<const RegionRows> groups, size_t width) : groups_(groups), width_(width) {}

  bool done() const { return groups_.empty(); }

  /// Rows from here on.
  int64_t n_left() const {
    int64_t n = 0;
    for (const RegionRows& group : groups_) n += n_left(group);
    return n;
  }

  /// Hands on the next `n_rows` rows in pieces of one group: act(first of these rows, group, first
  /// row of the group, number of rows).
  template <typename Act>
  void take(int n_rows, Act act) {
    for (int row = 0; row < n_rows;) {
      const RegionRows& group = groups_.front();
      const int n = static_cast<int>(std::min<int64_t>(n_rows - row, n_left(group)));
      act(row, group, taken_, n);
      row += n;
      taken_ += n;
      if (n_left(group) > 0) continue;
      groups_ = groups_.subspan(1);
      taken_ = 0;
    }
  }

 private:
  int64_t n_left(const RegionRows& group) const {
    const int64_t n = static_cast<int64_t>(group.embeddings.size() / width_);
    return &group == groups_.data() ? n - taken_ : n;
  }

  std::span<const RegionRows> groups_;
  size_t width_;
  int64_t taken_ = 0;  // rows of the first group
};

}  // namespace edgestream
