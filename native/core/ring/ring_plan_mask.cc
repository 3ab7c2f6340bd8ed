// SPDX-License-Identifier: Apache-2.0
// Who sees whom in the last step of a plan, and from where.
#include <algorithm>
#include <limits>

#include "core/ring/ring_plan.h"

namespace edgestream {

namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

}  // namespace

// Slots of the kept rows that a row sees, where who is kept is decided by attention.
std::span<const int> RingPlan::kept_by(int row) const {
  if (!kept_rows_) return {};
  const std::span kept = kept_rows_->slots();
  return kept.first(std::max<int64_t>(std::ssize(kept) - (step_.n_rows - 1 - row), 0));
}

void RingPlan::write_mask(std::span<float> mask) const {
  std::ranges::fill(mask, kHidden);
  for (int row = 0; row < step_.n_rows; ++row) {
    float* const seen = mask.data() + int64_t{row} * n_slots_;
    const int64_t pos = pos_ - step_.n_rows + row;
    std::fill_n(seen, std::min<int64_t>(pos + 1, shape_.n_sinks), 0.F);
    for (int other = 0; other < n_regions(); ++other) {
      if (kept_rows_ || !sees(row_regions_[row], other)) continue;
      const Region& r = regions_[other];
      const int64_t taken = row_taken_[row * n_regions() + other];
      const int64_t n_keys = std::min<int64_t>(taken, r.window);
      const int64_t start = r.slot_of(taken - n_keys) - r.first_slot;
      const int64_t before_wrap = std::min(n_keys, r.n_slots - start);
      std::fill_n(seen + r.first_slot + start, before_wrap, 0.F);
      std::fill_n(seen + r.first_slot, n_keys - before_wrap, 0.F);
    }
    for (const int slot : kept_by(row)) seen[slot] = kept_rows_->log_weight(slot);
  }
}

int64_t RingPlan::distance(int row, int clock, int slot) const {
  if (slot < shape_.n_sinks) return sink_query_positions_[row] - (step_.sink_position + slot);
  return query_positions_[clock * step_.n_rows + row] - (at_[slot] - bases_[clock]);
}

void RingPlan::hide_beyond(int reach, std::span<float> mask) const {
  for (int clock = 0; clock < n_clocks(); ++clock) {
    const auto [begin, end] = clock_slots(clock);
    for (int row = 0; row < step_.n_rows; ++row) {
      float* const seen = mask.data() + int64_t{row} * n_slots_;
      for (int slot = clock == 0 ? 0 : begin; slot < end; ++slot) {
        if (distance(row, clock, slot) >= reach) seen[slot] = kHidden;
      }
    }
  }
}

void RingPlan::write_key_positions(std::span<int32_t> positions) const {
  for (int clock = 0; clock < n_clocks(); ++clock) {
    const auto [first, last] = clock_slots(clock);
    for (int slot = first; slot < last; ++slot) {
      positions[slot] = static_cast<int32_t>(at_[slot] - bases_[clock]);
    }
  }
  for (int slot = 0; slot < shape_.n_sinks; ++slot) positions[slot] = slot;
}

void RingPlan::write_seen_slots(int region, std::vector<int>& slots) const {
  const std::span kept = kept_by(step_.n_rows - 1);
  slots.assign(kept.begin(), kept.end());
  if (kept_rows_ || step_.n_rows == 0 || !sees(row_regions_[step_.n_rows - 1], region)) return;
  const Region& r = regions_[region];
  const int64_t taken = row_taken_[(step_.n_rows - 1) * n_regions() + region];
  for (int64_t row = r.oldest_of(taken); row < taken; ++row) {
    slots.push_back(static_cast<int>(r.slot_of(row)));
  }
}

}  // namespace edgestream
