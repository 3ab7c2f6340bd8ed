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

// Rows of a branch are seen where they lie, not where their count says.
void move_branch(const RingRegion& region, const BranchRow& branch, int64_t taken,
                 std::span<float> seen) {
  const int64_t first = taken - std::min(branch.n_own, region.window);
  for (int64_t row = first; row < taken; ++row) seen[region.slot_of(row)] = kHidden;
  for (int64_t row = first; row < taken; ++row) seen[region.slot_of(row + branch.shift)] = 0.F;
}

}  // namespace

void write_mask(const RingRows& rows, const RingStep& step, std::span<float> mask) {
  std::ranges::fill(mask, kHidden);
  for (int row = 0; row < step.n_rows; ++row) {
    float* const seen = mask.data() + int64_t{row} * rows.n_slots;
    const int64_t pos = rows.pos - step.n_rows + row;
    std::fill_n(seen, std::min<int64_t>(pos + 1, rows.shape.n_sinks), 0.F);
    for (int other = 0; other < rows.n_regions(); ++other) {
      if (rows.kept || !rows.sees(step.regions[row], other)) continue;
      const RingRegion& r = rows.regions[other];
      const int64_t taken = step.taken[row * rows.n_regions() + other];
      const int64_t n_keys = std::min<int64_t>(taken, r.window);
      const int64_t start = r.slot_of(taken - n_keys) - r.first_slot;
      const int64_t before_wrap = std::min(n_keys, r.n_slots - start);
      std::fill_n(seen + r.first_slot + start, before_wrap, 0.F);
      std::fill_n(seen + r.first_slot, n_keys - before_wrap, 0.F);
    }
    for (const int slot : kept_by(rows, step, row)) seen[slot] = rows.kept->log_weight(slot);
    if (step.branches.empty()) continue;
    const int own = step.regions[row];
    move_branch(rows.regions[own], step.branches[row], step.taken[row * rows.n_regions() + own],
                mask.subspan(int64_t{row} * rows.n_slots, rows.n_slots));
  }
}

void hide_beyond(const RingRows& rows, const RingStep& step, int reach, std::span<float> mask) {
  const auto distance = [&](int row, int clock, int slot) -> int64_t {
    if (slot < rows.shape.n_sinks) {
      return step.sink_query_positions[row] - (step.sink_position + slot);
    }
    return step.query_positions[clock * step.n_rows + row] - (rows.at[slot] - rows.bases[clock]);
  };
  for (int clock = 0; clock < rows.n_clocks(); ++clock) {
    const auto [begin, end] = rows.clock_slots(clock);
    for (int row = 0; row < step.n_rows; ++row) {
      float* const seen = mask.data() + int64_t{row} * rows.n_slots;
      for (int slot = clock == 0 ? 0 : begin; slot < end; ++slot) {
        if (distance(row, clock, slot) >= reach) seen[slot] = kHidden;
      }
    }
  }
}

void write_seen_slots(const RingRows& rows, const RingStep& step, int region,
                      std::vector<int>& slots) {
  const int last = step.n_rows - 1;
  const std::span kept = kept_by(rows, step, last);
  slots.assign(kept.begin(), kept.end());
  if (rows.kept || !rows.sees(step.regions[last], region)) return;
  const RingRegion& r = rows.regions[region];
  const int64_t taken = step.taken[last * rows.n_regions() + region];
  for (int64_t row = r.oldest_of(taken); row < taken; ++row) {
    slots.push_back(static_cast<int>(r.slot_of(row)));
  }
}

}  // namespace edgestream
