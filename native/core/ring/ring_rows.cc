// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_rows.h"

#include <algorithm>
#include <limits>

namespace edgestream {

namespace {

int whole_blocks(int n_slots) { return (n_slots + kSlotBlock - 1) / kSlotBlock * kSlotBlock; }

}  // namespace

RingRows::RingRows(RingShape unchecked) : shape(checked(std::move(unchecked))) {
  int slot = shape.n_sinks;
  // A row of another region sees a whole window, to which it adds nothing itself.
  const int besides = shape.max_rows - (shape.regions.size() > 1 ? 0 : 1);
  const bool by_mass = shape.retention != Retention::kWindow;
  if (by_mass) kept.emplace(shape, slot);
  for (const RegionShape& region : shape.regions) {
    const int n_own = by_mass ? KeptRows::n_slots(shape) : region.window + besides;
    regions.push_back({region.window, slot, n_own});
    slot = whole_blocks(slot + n_own);
  }
  n_slots = slot;
  at.resize(n_slots);
  above.resize(n_slots);
  bases.resize(n_clocks());
  by_position_.reserve(all_windows(shape));
}

std::pair<int, int> RingRows::clock_slots(int clock) const {
  const bool last = clock + 1 == n_clocks();
  const int first = n_clocks() > 1 ? regions[clock].first_slot : shape.n_sinks;
  return {first, last ? n_slots : regions[clock + 1].first_slot};
}

SlotSpan RingRows::all_slots(int region) const {
  const int first = region == 0 ? 0 : regions[region].first_slot;
  const bool last = region + 1 == n_regions();
  return {first, first, (last ? n_slots : regions[region + 1].first_slot) - first};
}

int RingRows::n_slots_in_use(int region) const {
  const RingRegion& r = regions[region];
  int n = static_cast<int>(std::min<int64_t>(r.taken, r.n_slots));
  if (kept && !kept->slots().empty()) n = std::ranges::max(kept->slots()) + 1 - r.first_slot;
  if (region == 0) n += static_cast<int>(std::min<int64_t>(pos, shape.n_sinks));
  return std::max(whole_blocks(n), kSlotBlock);
}

int64_t RingRows::oldest_position(int region) const {
  int64_t oldest = std::numeric_limits<int64_t>::max();
  for (int other = 0; other < n_regions(); ++other) {
    const RingRegion& r = regions[other];
    if (clock_of(other) != clock_of(region) || !sees(region, other) || r.taken == 0) continue;
    const int64_t slot = kept ? kept->slots().front() : r.slot_of(r.oldest_of(r.taken));
    oldest = std::min(oldest, at[slot]);
  }
  return oldest == std::numeric_limits<int64_t>::max() ? regions[region].next : oldest;
}

int64_t RingRows::enter(int region, const RowAxes& axes) {
  RingRegion& own = regions[region];
  const bool sink = pos < shape.n_sinks;
  const int64_t slot = sink ? pos : kept ? kept->enter() : own.slot_of(own.taken);
  if (axes.begins) group_position_ = own.next;
  at[slot] = axes.of_text ? own.next : group_position_ + axes.least;
  above[slot] = axes.above;
  own.taken += sink ? 0 : 1;
  set_next(region, std::max(own.next, at[slot] + std::ranges::max(axes.above) + 1));
  ++pos;
  return slot;
}

void RingRows::take_back(int region) {
  --pos;
  RingRegion& own = regions[region];
  own.taken -= pos < shape.n_sinks ? 0 : 1;
  set_next(region, own.next - 1);
  if (kept && pos >= shape.n_sinks && kept->take_back(pos)) rank_kept();
}

void RingRows::go_to(int region, int64_t taken, int64_t next) {
  regions[region].taken = taken;
  set_next(region, next);
}

// `pos` is that of the row that comes or was the newest.
void RingRows::set_next(int region, int64_t next) {
  const bool for_all = shape.layout == Layout::kOneClock ||
                       (shape.layout == Layout::kOverlap && pos < shape.n_sinks);
  if (for_all) {
    for (RingRegion& each : regions) each.next = next;
  }
  regions[region].next = next;
}

void RingRows::begin_unit() {
  if (n_regions() == 1 || pos < shape.n_sinks) return;
  if (shape.layout == Layout::kOneClock) close_holes();
  if (shape.layout != Layout::kOverlap) return;
  const int64_t next = std::ranges::max(regions, {}, &RingRegion::next).next;
  for (RingRegion& r : regions) r.next = next;
}

// The kept rows of all regions lie one behind the other again, in the order in which they came.
void RingRows::close_holes() {
  by_position_.clear();
  for (const RingRegion& r : regions) {
    for (int64_t row = r.oldest_of(r.taken); row < r.taken; ++row) {
      by_position_.emplace_back(at[r.slot_of(row)], r.slot_of(row));
    }
  }
  std::ranges::sort(by_position_);
  int64_t end = by_position_.empty() ? 0 : by_position_.front().first;  // of the rows so far
  int64_t closed = end - shape.n_sinks;                                 // holes so far
  for (const auto& [position, slot] : by_position_) {
    closed += std::max<int64_t>(position - end, 0);
    end = std::max(end, position + std::ranges::max(above[slot]) + 1);
    at[slot] = position - closed;
  }
  for (RingRegion& r : regions) r.next = end - closed;
  bases[0] = 0;
  moved = true;
}

std::span<const RowMerge> RingRows::make_room() {
  const std::span<const RowMerge> merges = kept->make_room();
  rank_kept();
  return merges;
}

// The kept rows lie one behind the other, directly behind the attention sinks.
void RingRows::rank_kept() {
  int64_t next = shape.n_sinks;
  for (const int slot : kept->slots()) at[slot] = next++;
  regions[0].next = next;
  moved = true;
}

void RingRows::reset() {
  for (RingRegion& r : regions) r.taken = r.next = 0;
  if (kept) kept->reset();
  pos = 0;
  std::ranges::fill(bases, 0);
  moved = false;
}

}  // namespace edgestream
