// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_plan.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace edgestream {

namespace {

// ggml sums 64 products at a time (AVX-512); a partial block would be summed in another order.
constexpr int kSlotMultiple = 64;

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

std::vector<int> all_step_sizes(int max_rows, bool several_regions) {
  std::vector<int> sizes;
  for (int n = 1; n <= max_rows; n *= 2) {
    sizes.push_back(n);
    if (several_regions && n > 1 && n < max_rows) sizes.push_back(n + 1);
  }
  return sizes;
}

}  // namespace

RingPlan::RingPlan(RingShape shape)
    : shape_(checked(std::move(shape))),
      sizes_(all_step_sizes(shape_.max_rows, shape_.regions.size() > 1)),
      slots_(shape_.max_rows),
      positions_(shape_.max_rows),
      sink_query_positions_(shape_.max_rows),
      row_above_(shape_.max_rows),
      row_regions_(shape_.max_rows) {
  int slot = shape_.n_sinks;
  // A row of another region sees a whole window, to which it adds nothing itself.
  const int besides = shape_.max_rows - (shape_.regions.size() > 1 ? 0 : 1);
  for (const RegionShape& region : shape_.regions) {
    const bool by_mass = shape_.retention != Retention::kWindow;
    if (by_mass) kept_rows_.emplace(shape_, slot);
    const int n_slots = by_mass ? KeptRows::n_slots(shape_) : region.window + besides;
    regions_.push_back({region.window, slot, n_slots, 0, 0});
    slot += n_slots;
  }
  n_slots_ = round_up(slot, kSlotMultiple);
  at_.resize(n_slots_);
  above_.resize(n_slots_);
  bases_.resize(n_clocks());
  rebase_by_.resize(n_clocks());
  query_positions_.resize(static_cast<size_t>(n_clocks()) * shape_.max_rows);
  row_taken_.resize(static_cast<size_t>(shape_.max_rows) * n_regions());
  kept_.reserve(all_windows(shape_));
}

std::pair<int, int> RingPlan::clock_slots(int clock) const {
  const bool last = clock + 1 == n_clocks();
  const int first = n_clocks() > 1 ? regions_[clock].first_slot : shape_.n_sinks;
  return {first, last ? n_slots_ : regions_[clock + 1].first_slot};
}

int RingPlan::next_rows(int64_t n_waiting) const {
  int64_t n = std::min<int64_t>(n_waiting, shape_.max_rows);
  if (pos_ < shape_.n_sinks) n = std::min(n, shape_.n_sinks - pos_);
  if (kept_rows_ && pos_ >= shape_.n_sinks) {
    const int room = kept_rows_->room();
    n = std::min<int64_t>(n, room > 0 ? room : shape_.evict_rows);
  }
  return *std::prev(std::ranges::upper_bound(sizes_, n));
}

const RingStep& RingPlan::take(std::span<const int> regions, std::span<const RowAxes> axes) {
  step_.n_rows = static_cast<int>(regions.size());
  step_.into_sinks = pos_ < shape_.n_sinks;
  step_.merges = {};
  if (kept_rows_ && kept_rows_->room() == 0) make_room();
  rebase(regions);
  for (int row = 0; row < step_.n_rows; ++row) {
    enter(row, regions[row], axes.empty() ? RowAxes{} : axes[row]);
    place(row, regions[row]);
  }
  const auto n = regions.size();
  // With one clock the sinks lie right for the last row; with several, row by row from 0 on.
  step_.sink_position = n_clocks() > 1 ? 0 : positions_[n - 1] - sink_query_positions_[n - 1];
  for (int row = 0; row < step_.n_rows; ++row) sink_query_positions_[row] += step_.sink_position;
  step_.place_keys = std::exchange(place_keys_, false);
  step_.rebase_by = rebase_by_;
  step_.slots = {slots_.data(), n};
  step_.positions = {positions_.data(), n};
  step_.query_positions = {query_positions_.data(), n * n_clocks()};
  step_.sink_query_positions = {sink_query_positions_.data(), n};
  step_.above = {row_above_.data(), n};
  return step_;
}

// A visible key that is turned by its clock is turned once at most: two rebases are more than the
// windows apart.
void RingPlan::rebase(std::span<const int> regions) {
  std::ranges::fill(rebase_by_, 0);
  for (int clock = 0; clock < n_clocks(); ++clock) {
    const auto on_clock = [&](int region) { return clock_of(region) == clock; };
    const int64_t n_rows = std::ranges::count_if(regions, on_clock);
    if (n_rows == 0) continue;
    const int64_t first = regions_[*std::ranges::find_if(regions, on_clock)].next;
    const int64_t reach =
        shape_.n_sinks + (n_clocks() > 1 ? regions_[clock].window : all_windows(shape_));
    if (first + n_rows - 1 - bases_[clock] < reach + shape_.rebase_rows) continue;
    const int64_t by = first - bases_[clock] - reach;
    bases_[clock] += by;
    if (places_keys()) {
      place_keys_ = true;
    } else {
      rebase_by_[clock] = static_cast<int32_t>(by);
    }
  }
}

// The row gets its slot and its position and counts from now on.
void RingPlan::enter(int row, int region, const RowAxes& axes) {
  Region& own = regions_[region];
  const bool sink = pos_ < shape_.n_sinks;
  const int64_t slot = sink ? pos_ : kept_rows_ ? kept_rows_->enter() : own.slot_of(own.taken);
  slots_[row] = slot;
  if (axes.begins) group_position_ = own.next;
  const int64_t position = axes.of_text ? own.next : group_position_ + axes.least;
  at_[slot] = position;
  above_[slot] = row_above_[row] = axes.above;
  positions_[row] = static_cast<int32_t>(position - bases_[clock_of(region)]);
  own.taken += sink ? 0 : 1;
  set_next(region, std::max(own.next, position + std::ranges::max(axes.above) + 1));
  ++pos_;
  row_regions_[row] = region;
  for (int other = 0; other < n_regions(); ++other) {
    row_taken_[row * n_regions() + other] = regions_[other].taken;
  }
}

// `pos_` is that of the newest row.
void RingPlan::set_next(int region, int64_t next) {
  const bool for_all = shape_.layout == Layout::kOneClock ||
                       (shape_.layout == Layout::kOverlap && pos_ < shape_.n_sinks);
  if (for_all) {
    for (Region& each : regions_) each.next = next;
  }
  regions_[region].next = next;
}

// Where the row looks from, given where it lies among the rows that it sees.
void RingPlan::place(int row, int region) {
  const int own_clock = clock_of(region);
  const int64_t at = at_[slots_[row]];
  int64_t place = at;  // from sink 0, as if only the rows that it sees had ever been
  if (!step_.into_sinks) {
    const bool gapped = shape_.layout == Layout::kGrouped && region > 0;
    place = at - oldest_position(region) + (gapped ? shape_.gap : shape_.n_sinks);
  }
  sink_query_positions_[row] = static_cast<int32_t>(place);
  for (int clock = 0; clock < n_clocks(); ++clock) {
    int64_t from = at;
    if (clock != own_clock && !step_.into_sinks) {
      const int64_t begin = clock > 0 ? shape_.gap : shape_.n_sinks;
      from = place - begin + oldest_position(clock);
    }
    query_positions_[clock * step_.n_rows + row] = static_cast<int32_t>(from - bases_[clock]);
  }
}

// Least position that a new row of the region sees on its clock, beside the sinks.
int64_t RingPlan::oldest_position(int region) const {
  int64_t oldest = std::numeric_limits<int64_t>::max();
  for (int other = 0; other < n_regions(); ++other) {
    const Region& r = regions_[other];
    if (clock_of(other) != clock_of(region) || !sees(region, other) || r.taken == 0) continue;
    const int64_t slot = kept_rows_ ? kept_rows_->slots().front() : r.slot_of(r.oldest_of(r.taken));
    oldest = std::min(oldest, at_[slot]);
  }
  return oldest == std::numeric_limits<int64_t>::max() ? regions_[region].next : oldest;
}

void RingPlan::begin_unit() {
  if (n_regions() == 1 || pos_ < shape_.n_sinks) return;
  if (shape_.layout == Layout::kOneClock) close_holes();
  if (shape_.layout != Layout::kOverlap) return;
  int64_t next = 0;
  for (const Region& r : regions_) next = std::max(next, r.next);
  for (Region& r : regions_) r.next = next;
}

// The kept rows of all regions lie one behind the other again, in the order in which they came.
void RingPlan::close_holes() {
  kept_.clear();
  for (const Region& r : regions_) {
    for (int64_t row = r.oldest_of(r.taken); row < r.taken; ++row) {
      kept_.emplace_back(at_[r.slot_of(row)], r.slot_of(row));
    }
  }
  std::ranges::sort(kept_);
  int64_t end = kept_.empty() ? 0 : kept_.front().first;  // one past what the rows so far cover
  int64_t closed = end - shape_.n_sinks;                  // holes so far
  for (const auto& [at, slot] : kept_) {
    closed += std::max<int64_t>(at - end, 0);
    end = std::max(end, at + std::ranges::max(above_[slot]) + 1);
    at_[slot] = at - closed;
  }
  for (Region& r : regions_) r.next = end - closed;
  bases_[0] = 0;
  place_keys_ = true;
}

void RingPlan::make_room() {
  step_.merges = kept_rows_->make_room();
  rank_kept();
}

// The kept rows lie one behind the other, directly behind the sinks.
void RingPlan::rank_kept() {
  int64_t next = shape_.n_sinks;
  for (const int slot : kept_rows_->slots()) at_[slot] = next++;
  regions_[0].next = next;
  place_keys_ = true;
}

void RingPlan::add_mass(std::span<const float> shares) {
  for (int row = 0; row < step_.n_rows && !step_.into_sinks; ++row) {
    kept_rows_->add_mass(pos_ - step_.n_rows + row,
                         shares.subspan(int64_t{row} * n_slots_, n_slots_));
  }
}

void RingPlan::take_back(int region) {
  --pos_;
  Region& own = regions_[region];
  own.taken -= pos_ < shape_.n_sinks ? 0 : 1;
  set_next(region, own.next - 1);
  if (kept_rows_ && pos_ >= shape_.n_sinks && kept_rows_->take_back(pos_)) rank_kept();
}

void RingPlan::reset() {
  for (Region& r : regions_) r.taken = r.next = 0;
  if (kept_rows_) kept_rows_->reset();
  pos_ = 0;
  std::ranges::fill(bases_, 0);
  place_keys_ = false;
  step_ = {};
}

}  // namespace edgestream
