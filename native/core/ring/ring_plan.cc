// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_plan.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace edgestream {

namespace {

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
    : rows_(std::move(shape)), sizes_(all_step_sizes(rows_.shape.max_rows, n_regions() > 1)) {
  const auto max_rows = static_cast<size_t>(rows_.shape.max_rows);
  slots_.resize(max_rows);
  positions_.resize(max_rows);
  query_positions_.resize(n_clocks() * max_rows);
  sink_query_positions_.resize(max_rows);
  row_above_.resize(max_rows);
  rebase_by_.resize(n_clocks());
  reads_.resize(n_regions());
  row_regions_.resize(max_rows);
  row_taken_.resize(max_rows * n_regions());
  branch_rows_.resize(max_rows);
}

int RingPlan::next_rows(int64_t n_waiting) const {
  int64_t n = std::min<int64_t>(n_waiting, shape().max_rows);
  if (pos() < shape().n_sinks) n = std::min(n, shape().n_sinks - pos());
  if (rows_.kept && pos() >= shape().n_sinks) {
    const int room = rows_.kept->room();
    n = std::min<int64_t>(n, room > 0 ? room : shape().evict_rows);
  }
  return *std::prev(std::ranges::upper_bound(sizes_, n));
}

const RingStep& RingPlan::take(std::span<const int> regions, std::span<const RowAxes> axes) {
  step_.n_rows = static_cast<int>(regions.size());
  step_.into_sinks = pos() < shape().n_sinks;
  step_.merges = {};
  if (rows_.kept && rows_.kept->room() == 0) step_.merges = rows_.make_room();
  rebase(regions);
  for (int row = 0; row < step_.n_rows; ++row) {
    enter(row, regions[row], axes.empty() ? RowAxes{} : axes[row]);
    place(row, regions[row]);
  }
  step_.branches = {};
  return placed(regions.size());
}

const RingStep& RingPlan::take_branches(int region, std::span<const BranchRow> rows) {
  RingRegion& own = rows_.regions[region];
  if (!mark_) mark_ = {region, own.taken, own.next, pos()};
  step_.n_rows = static_cast<int>(rows.size());
  step_.into_sinks = false;
  step_.merges = {};
  std::ranges::fill(rebase_by_, 0);
  int64_t end = own.taken;
  for (int row = 0; row < step_.n_rows; ++row) {
    const BranchRow& at = branch_rows_[row] = rows[row];
    own.branch_from = mark_->taken + at.depth + 1 - at.n_own;
    own.branch_shift = at.shift;
    rows_.go_to(region, mark_->taken + at.depth, mark_->next + at.depth);
    enter(row, region, {});
    place(row, region);
    end = std::max(end, own.taken + at.shift);
  }
  own.branch_from = std::numeric_limits<int64_t>::max();
  rows_.go_to(region, end, mark_->next);  // so many slots are in use
  step_.branches = {branch_rows_.data(), rows.size()};
  return placed(rows.size());
}

void RingPlan::drop_branches() {
  if (!mark_) return;
  rows_.go_to(mark_->region, mark_->taken, mark_->next);
  rows_.pos = mark_->pos;
  mark_.reset();
}

// The step, when all its rows are where they belong.
const RingStep& RingPlan::placed(size_t n) {
  find_reads();
  // With one clock the sinks lie right for the last row; with several, row by row from 0 on.
  step_.sink_position = n_clocks() > 1 ? 0 : positions_[n - 1] - sink_query_positions_[n - 1];
  for (int row = 0; row < step_.n_rows; ++row) sink_query_positions_[row] += step_.sink_position;
  step_.place_keys = std::exchange(rows_.moved, false);
  step_.rebase_by = rebase_by_;
  step_.slots = {slots_.data(), n};
  step_.positions = {positions_.data(), n};
  step_.query_positions = {query_positions_.data(), n * n_clocks()};
  step_.sink_query_positions = {sink_query_positions_.data(), n};
  step_.above = {row_above_.data(), n};
  step_.regions = {row_regions_.data(), n};
  step_.taken = {row_taken_.data(), n * n_regions()};
  return step_;
}

// A visible key that is turned by its clock is turned once at most: two rebases are more than the
// windows apart.
void RingPlan::rebase(std::span<const int> regions) {
  std::ranges::fill(rebase_by_, 0);
  for (int clock = 0; clock < n_clocks(); ++clock) {
    const auto on_clock = [&](int region) { return rows_.clock_of(region) == clock; };
    const int64_t n_rows = std::ranges::count_if(regions, on_clock);
    if (n_rows == 0) continue;
    const int64_t first = rows_.regions[*std::ranges::find_if(regions, on_clock)].next;
    const int64_t reach =
        shape().n_sinks + (n_clocks() > 1 ? rows_.regions[clock].window : all_windows(shape()));
    int64_t& base = rows_.bases[clock];
    if (first + n_rows - 1 - base < reach + shape().rebase_rows) continue;
    const int64_t by = first - base - reach;
    base += by;
    if (places_keys()) {
      rows_.moved = true;
    } else {
      rebase_by_[clock] = static_cast<int32_t>(by);
    }
  }
}

void RingPlan::enter(int row, int region, const RowAxes& axes) {
  const int64_t slot = slots_[row] = rows_.enter(region, axes);
  row_above_[row] = axes.above;
  positions_[row] = static_cast<int32_t>(rows_.at[slot] - rows_.bases[rows_.clock_of(region)]);
  row_regions_[row] = region;
  std::ranges::transform(rows_.regions, row_taken_.begin() + int64_t{row} * n_regions(),
                         &RingRegion::taken);
}

void RingPlan::find_reads() {
  step_.n_columns = 0;
  for (int region = 0; region < n_regions(); ++region) {
    const int n = rows_.n_slots_in_use(region);
    reads_[region] = {rows_.all_slots(region).first_slot, step_.n_columns, n};
    step_.n_columns += n;
  }
  step_.reads = reads_;
}

// Where the row looks from, given where it lies among the rows that it sees.
void RingPlan::place(int row, int region) {
  const int own_clock = rows_.clock_of(region);
  const int64_t at = rows_.at[slots_[row]];
  int64_t place = at;  // from sink 0, as if only the rows that it sees had ever been
  if (!step_.into_sinks) {
    const bool gapped = shape().layout == Layout::kGrouped && region > 0;
    place = at - rows_.oldest_position(region) + (gapped ? shape().gap : shape().n_sinks);
  }
  sink_query_positions_[row] = static_cast<int32_t>(place);
  for (int clock = 0; clock < n_clocks(); ++clock) {
    int64_t from = at;
    if (clock != own_clock && !step_.into_sinks) {
      const int64_t begin = clock > 0 ? shape().gap : shape().n_sinks;
      from = place - begin + rows_.oldest_position(clock);
    }
    query_positions_[clock * step_.n_rows + row] = static_cast<int32_t>(from - rows_.bases[clock]);
  }
}

void RingPlan::add_mass(std::span<const float> shares) {
  for (int row = 0; row < step_.n_rows && !step_.into_sinks; ++row) {
    rows_.kept->add_mass(pos() - step_.n_rows + row,
                         shares.subspan(int64_t{row} * step_.n_columns, step_.n_columns));
  }
}

void RingPlan::write_key_positions(std::span<int32_t> positions) const {
  for (int clock = 0; clock < n_clocks(); ++clock) {
    const auto [first, last] = clock_slots(clock);
    for (int slot = first; slot < last; ++slot) {
      positions[slot] = static_cast<int32_t>(rows_.at[slot] - rows_.bases[clock]);
    }
  }
  for (int slot = 0; slot < shape().n_sinks; ++slot) positions[slot] = slot;
}

void RingPlan::reset() {
  rows_.reset();
  step_ = {};
  mark_.reset();
}

void RingPlan::restore(RingRows rows) {
  rows_ = std::move(rows);
  step_ = {};
  mark_.reset();
}

}  // namespace edgestream
