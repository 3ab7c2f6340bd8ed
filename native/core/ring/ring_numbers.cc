// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_numbers.h"

#include <algorithm>
#include <stdexcept>

namespace edgestream {

namespace {

// Sums and differences of a few positions fit 64 bits by far.
constexpr int64_t kMaxPosition = int64_t{1} << 60;
constexpr int64_t kMaxAxis = int64_t{1} << 30;
// RoPE positions and their differences have 32 bits.
constexpr int64_t kMaxReach = int64_t{1} << 29;

// The numbers in their order.
struct Parts {
  int64_t pos;
  int64_t moved;
  std::span<const int64_t> regions;  // [n_regions, 2] rows taken and next position
  std::span<const int64_t> bases;
  std::span<const int64_t> at;
  std::span<const int64_t> above;
  std::span<const int64_t> kept;
};

Parts split(std::span<const int64_t> numbers, const RingRows& like) {
  const size_t n_kept = like.kept ? like.kept->n_numbers() : 0;
  const size_t n_regions = like.regions.size(), n_bases = like.bases.size();
  const size_t n_slots = like.at.size();
  const auto in_range = [](int64_t x) { return x >= 0 && x <= kMaxPosition; };
  bool fits = numbers.size() == 2 + 2 * n_regions + n_bases + (1 + kAxes) * n_slots + n_kept &&
              std::ranges::all_of(numbers, in_range);
  Parts parts{};
  if (fits) {
    const auto next = [&](size_t n) {
      const auto part = numbers.first(n);
      numbers = numbers.subspan(n);
      return part;
    };
    parts = {next(1)[0],    next(1)[0],    next(2 * n_regions),
             next(n_bases), next(n_slots), next(kAxes * n_slots),
             next(n_kept)};
    fits = std::ranges::all_of(parts.above, [](int64_t x) { return x <= kMaxAxis; });
  }
  if (!fits) throw std::invalid_argument("ring: the saved plan does not fit this ring");
  return parts;
}

void check_counts(const Parts& saved, int n_sinks) {
  int64_t n_left = saved.pos - std::min<int64_t>(saved.pos, n_sinks);
  bool holds = saved.moved <= 1;
  for (size_t i = 0; i < saved.regions.size() && holds; i += 2) {
    holds = saved.regions[i] <= n_left;
    n_left -= saved.regions[i];
  }
  if (!holds || n_left != 0) {
    throw std::invalid_argument("ring: the saved plan counts rows that were never taken");
  }
}

// Where attention decides who is kept, positions are ranks behind the attention sinks.
bool ranks_hold(const Parts& saved, const RingRows& rows) {
  const std::span<const int> kept = rows.kept->slots();
  const int n_sinks = rows.shape.n_sinks;
  bool holds = saved.regions[1] == std::min<int64_t>(saved.pos, n_sinks) + std::ssize(kept) &&
               saved.bases[0] == 0 && std::ssize(kept) <= std::max<int64_t>(saved.pos - n_sinks, 0);
  for (const int64_t position : saved.at) holds &= position < n_sinks + rows.regions[0].window;
  for (int64_t i = 0; i < std::ssize(kept); ++i) holds &= saved.at[kept[i]] == n_sinks + i;
  return holds && std::ranges::all_of(saved.above, [](int64_t above) { return above == 0; });
}

// What is still seen, and what comes next, lies near its clock's base.
bool reach_holds(const Parts& saved, const RingRows& rows) {
  bool holds = true;
  for (int i = 0; i < rows.n_regions(); ++i) {
    const RingRegion& region = rows.regions[i];
    const int64_t taken = saved.regions[2 * i];
    const auto near = [base = saved.bases[rows.clock_of(i)]](int64_t position) {
      return std::max(position, base) - std::min(position, base) <= kMaxReach;
    };
    holds &= near(saved.regions[2 * i + 1]);
    for (int64_t row = region.oldest_of(taken); row < taken; ++row) {
      holds &= near(saved.at[region.slot_of(row)]);
    }
  }
  return holds;
}

}  // namespace

std::vector<int64_t> numbers_of(const RingRows& rows) {
  std::vector<int64_t> all{rows.pos, rows.moved ? 1 : 0};
  for (const RingRegion& region : rows.regions) all.insert(all.end(), {region.taken, region.next});
  all.insert(all.end(), rows.bases.begin(), rows.bases.end());
  all.insert(all.end(), rows.at.begin(), rows.at.end());
  for (const auto& above : rows.above) all.insert(all.end(), above.begin(), above.end());
  if (rows.kept) rows.kept->append_numbers(all);
  return all;
}

RingRows rows_of(std::span<const int64_t> numbers, const RingRows& like) {
  const Parts saved = split(numbers, like);
  check_counts(saved, like.shape.n_sinks);
  RingRows rows = like;
  if (rows.kept) rows.kept->restore(saved.kept);
  if (!(rows.kept ? ranks_hold(saved, rows) : reach_holds(saved, rows))) {
    throw std::invalid_argument("ring: the saved plan has rows out of their places");
  }
  rows.pos = saved.pos;
  rows.moved = saved.moved != 0;
  for (size_t i = 0; i < rows.regions.size(); ++i) {
    rows.regions[i].taken = saved.regions[2 * i];
    rows.regions[i].next = saved.regions[2 * i + 1];
  }
  std::ranges::copy(saved.bases, rows.bases.begin());
  std::ranges::copy(saved.at, rows.at.begin());
  for (size_t i = 0; i < saved.above.size(); ++i) {
    rows.above[i / kAxes][i % kAxes] = static_cast<int32_t>(saved.above[i]);
  }
  return rows;
}

}  // namespace edgestream
