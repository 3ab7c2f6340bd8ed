// SPDX-License-Identifier: Apache-2.0
// A plan as numbers and back: the numbers may come from a damaged or hostile file.
#include <algorithm>
#include <stdexcept>

#include "core/ring/ring_plan.h"

namespace edgestream {

namespace {

// Sums and differences of a few positions fit 64 bits by far.
constexpr int64_t kMaxPosition = int64_t{1} << 60;
constexpr int64_t kMaxAxis = int64_t{1} << 30;
// RoPE positions and their differences have 32 bits.
constexpr int64_t kMaxReach = int64_t{1} << 29;

}  // namespace

std::vector<int64_t> RingPlan::numbers() const {
  std::vector<int64_t> all{pos_, place_keys_ ? 1 : 0};
  for (const Region& region : regions_) all.insert(all.end(), {region.taken, region.next});
  all.insert(all.end(), bases_.begin(), bases_.end());
  all.insert(all.end(), at_.begin(), at_.end());
  for (const auto& above : above_) all.insert(all.end(), above.begin(), above.end());
  if (kept_rows_) kept_rows_->append_numbers(all);
  return all;
}

// Where attention decides who is kept, positions are ranks behind the sinks. `places`: the next
// position, the base, then of every slot its position, then its axes.
void RingPlan::check_ranks(const KeptRows& kept, int64_t pos,
                           std::span<const int64_t> places) const {
  const auto at = places.subspan(2, at_.size());
  const auto n_kept = std::ssize(kept.slots());
  bool holds = places[0] == std::min<int64_t>(pos, shape_.n_sinks) + n_kept && places[1] == 0 &&
               n_kept <= std::max<int64_t>(pos - shape_.n_sinks, 0);
  for (const int64_t position : at) holds &= position < shape_.n_sinks + regions_[0].window;
  for (int64_t i = 0; i < n_kept; ++i) holds &= at[kept.slots()[i]] == shape_.n_sinks + i;
  for (const int64_t above : places.last(kAxes * at_.size())) holds &= above == 0;
  if (!holds) throw std::invalid_argument("ring: the saved plan has rows out of their places");
}

// What is still seen, and what comes next, lies near its clock's base. `of_regions`: rows taken and
// next position of each.
void RingPlan::check_reach(std::span<const int64_t> of_regions, std::span<const int64_t> bases,
                           std::span<const int64_t> at) const {
  for (int i = 0; i < n_regions(); ++i) {
    const Region& region = regions_[i];
    const int64_t taken = of_regions[2 * i];
    const auto far = [base = bases[clock_of(i)]](int64_t position) {
      return std::max(position, base) - std::min(position, base) > kMaxReach;
    };
    bool holds = !far(of_regions[2 * i + 1]);
    for (int64_t row = region.oldest_of(taken); row < taken; ++row) {
      holds &= !far(at[region.slot_of(row)]);
    }
    if (!holds) throw std::invalid_argument("ring: the saved plan has rows out of their places");
  }
}

void RingPlan::restore(std::span<const int64_t> numbers) {
  const size_t n_regions = regions_.size();
  const size_t n_of_kept = kept_rows_ ? kept_rows_->n_numbers() : 0;
  const size_t n_expected =
      2 + 2 * n_regions + bases_.size() + (1 + kAxes) * at_.size() + n_of_kept;
  const auto sound = [](int64_t x) { return x >= 0 && x <= kMaxPosition; };
  const auto small = [](int64_t x) { return x <= kMaxAxis; };
  if (numbers.size() != n_expected || !std::ranges::all_of(numbers, sound) ||
      !std::ranges::all_of(numbers.last(kAxes * at_.size() + n_of_kept).first(kAxes * at_.size()),
                           small)) {
    throw std::invalid_argument("ring: the saved plan does not fit this ring");
  }
  const auto of_regions = numbers.subspan(2, 2 * n_regions);
  int64_t n_left = numbers[0] - std::min<int64_t>(numbers[0], shape_.n_sinks);
  bool counts = numbers[1] <= 1;
  for (size_t i = 0; i < n_regions && counts; ++i) {
    counts = of_regions[2 * i] <= n_left;
    n_left -= of_regions[2 * i];
  }
  if (!counts || n_left != 0) {
    throw std::invalid_argument("ring: the saved plan counts rows that were never taken");
  }
  const auto rest = numbers.subspan(2 + 2 * n_regions);
  const auto bases = rest.first(bases_.size());
  const auto at = rest.subspan(bases_.size(), at_.size());
  std::optional<KeptRows> kept = kept_rows_;
  if (kept) {
    kept->restore(numbers.last(n_of_kept));
    check_ranks(*kept, numbers[0], numbers.subspan(3, numbers.size() - n_of_kept - 3));
  } else {
    check_reach(of_regions, bases, at);
  }
  reset();
  kept_rows_ = std::move(kept);
  pos_ = numbers[0];
  place_keys_ = numbers[1] != 0;
  for (size_t i = 0; i < n_regions; ++i) {
    regions_[i].taken = of_regions[2 * i];
    regions_[i].next = of_regions[2 * i + 1];
  }
  std::ranges::copy(bases, bases_.begin());
  std::ranges::copy(at, at_.begin());
  const auto above = rest.last(kAxes * at_.size() + n_of_kept).first(kAxes * at_.size());
  for (size_t i = 0; i < above.size(); ++i) {
    above_[i / kAxes][i % kAxes] = static_cast<int32_t>(above[i]);
  }
}

}  // namespace edgestream
