// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_mask.h"

#include <algorithm>
#include <limits>

namespace edgestream {

namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

// Slots of the kept rows that a row sees, where who is kept is decided by attention.
std::span<const int> kept_by(const RingRows& rows, const RingStep& step, int row) {
  if (!rows.kept) return {};
  const std::span kept = rows.kept->slots();
  return kept.first(std::max<int64_t>(std::ssize(kept) - (step.n_rows - 1 - row), 0));
}

// The column of a region's slot.
int64_t column_of(const RingStep& step, int region, int64_t slot) {
  const SlotSpan& read = step.reads[region];
  return read.first_column + slot - read.first_slot;
}

// Rows of a branch are seen where they lie, not where their count says.
void move_branch(const RingRows& rows, const RingStep& step, int row, float* seen) {
  const int own = step.regions[row];
  const RingRegion& region = rows.regions[own];
  const BranchRow& branch = step.branches[row];
  const int64_t taken = step.taken[row * rows.n_regions() + own];
  const auto at = [&](int64_t other) { return seen + column_of(step, own, region.slot_of(other)); };
  const int64_t first = taken - std::min(branch.n_own, region.window);
  for (int64_t other = first; other < taken; ++other) *at(other) = kHidden;
  for (int64_t other = first; other < taken; ++other) *at(other + branch.shift) = 0.F;
}

}  // namespace

void write_mask(const RingRows& rows, const RingStep& step, std::span<float> mask) {
  std::ranges::fill(mask, kHidden);
  for (int row = 0; row < step.n_rows; ++row) {
    float* const seen = mask.data() + int64_t{row} * step.n_columns;
    const int64_t pos = rows.pos - step.n_rows + row;
    std::fill_n(seen, std::min<int64_t>(pos + 1, rows.shape.n_sinks), 0.F);
    for (int other = 0; other < rows.n_regions(); ++other) {
      if (rows.kept || !rows.sees(step.regions[row], other)) continue;
      const RingRegion& r = rows.regions[other];
      const int64_t taken = step.taken[row * rows.n_regions() + other];
      const int64_t n_keys = std::min<int64_t>(taken, r.window);
      const int64_t start = r.slot_of(taken - n_keys) - r.first_slot;
      const int64_t before_wrap = std::min(n_keys, r.n_slots - start);
      float* const first = seen + column_of(step, other, r.first_slot);
      std::fill_n(first + start, before_wrap, 0.F);
      std::fill_n(first, n_keys - before_wrap, 0.F);
    }
    for (const int slot : kept_by(rows, step, row)) seen[slot] = rows.kept->log_weight(slot);
    if (!step.branches.empty()) move_branch(rows, step, row, seen);
  }
}

void hide_beyond(const RingRows& rows, const RingStep& step, int reach, std::span<float> mask) {
  const auto distance = [&](int row, int clock, int slot) -> int64_t {
    if (slot < rows.shape.n_sinks) {
      return step.sink_query_positions[row] - (step.sink_position + slot);
    }
    return step.query_positions[clock * step.n_rows + row] - (rows.at[slot] - rows.bases[clock]);
  };
  for (int region = 0; region < rows.n_regions(); ++region) {
    const SlotSpan& read = step.reads[region];
    const int clock = rows.clock_of(region);
    for (int row = 0; row < step.n_rows; ++row) {
      float* const seen = mask.data() + int64_t{row} * step.n_columns + read.first_column;
      for (int i = 0; i < read.n; ++i) {
        if (distance(row, clock, read.first_slot + i) >= reach) seen[i] = kHidden;
      }
    }
  }
}

void write_seen_columns(const RingRows& rows, const RingStep& step, int region,
                        std::vector<int>& columns) {
  const int last = step.n_rows - 1;
  const std::span kept = kept_by(rows, step, last);
  columns.assign(kept.begin(), kept.end());
  if (rows.kept || !rows.sees(step.regions[last], region)) return;
  const RingRegion& r = rows.regions[region];
  const int64_t taken = step.taken[last * rows.n_regions() + region];
  for (int64_t row = r.oldest_of(taken); row < taken; ++row) {
    columns.push_back(static_cast<int>(column_of(step, region, r.slot_of(row))));
  }
}

}  // namespace edgestream
