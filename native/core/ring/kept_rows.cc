// SPDX-License-Identifier: Apache-2.0
#include "core/ring/kept_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace edgestream {

namespace {

// Mass is counted in whole units, so that the order of sums does not matter and what is taken back
// is taken back exactly.
constexpr float kMassUnit = 1 << 24;
// A row that stood for all that ever left would outshine the others: docs/decoder.md has figures.
constexpr int32_t kMaxWeight = 4;
enum Part : char { kStays, kOlder, kNewer };  // of a merge, by rank

}  // namespace

int KeptRows::n_slots(const RingShape& shape) {
  const int merged = shape.retention == Retention::kMerge ? shape.evict_rows : 0;
  return shape.regions[0].window + shape.max_rows + merged;
}

KeptRows::KeptRows(const RingShape& shape, int first_slot)
    : retention_(shape.retention),
      first_slot_(first_slot),
      window_(shape.regions[0].window),
      recent_(shape.recent),
      evict_rows_(shape.evict_rows),
      max_rows_(shape.max_rows),
      given_(static_cast<size_t>(shape.max_rows) * n_slots(shape)),
      order_(window_),
      taken_(window_) {
  const int n = n_slots(shape);
  now_.kept.reserve(window_);
  now_.free.resize(n);
  now_.mass.resize(n);
  now_.weight.resize(n);
  now_.log_weight.resize(n);
  before_ = now_;
  before_.kept.reserve(window_);
  merges_.reserve(evict_rows_);
  reset();
}

void KeptRows::reset() {
  now_.kept.clear();
  before_.kept.clear();
  now_.first_free = 0;
  now_.n_free = static_cast<int>(now_.free.size());
  std::iota(now_.free.begin(), now_.free.end(), first_slot_);
  std::ranges::fill(now_.mass, 0);
  std::ranges::fill(now_.weight, 1);
  std::ranges::fill(now_.log_weight, 0.F);
}

int KeptRows::take_free() {
  const int slot = now_.free[now_.first_free];
  now_.first_free = (now_.first_free + 1) % std::ssize(now_.free);
  --now_.n_free;
  return slot;
}

void KeptRows::give_free(int slot) {
  now_.free[(now_.first_free + now_.n_free) % now_.free.size()] = slot;
  ++now_.n_free;
}

int KeptRows::enter() {
  const int slot = take_free();
  now_.kept.push_back(slot);
  now_.mass[at(slot)] = 0;
  set_weight(slot, 1);
  return slot;
}

void KeptRows::set_weight(int slot, int32_t weight) {
  now_.weight[at(slot)] = weight;
  now_.log_weight[at(slot)] = std::log(static_cast<float>(weight));
}

void KeptRows::add_mass(int64_t row, std::span<const float> shares) {
  int32_t* const given = given_.data() + row % max_rows_ * std::ssize(now_.mass);
  for (const int slot : now_.kept) {
    const auto mass = static_cast<int32_t>(shares[slot] * kMassUnit + 0.5F);
    given[at(slot)] = mass;
    now_.mass[at(slot)] += mass;
  }
}

bool KeptRows::take_back(int64_t row) {
  const bool over_eviction =
      std::ssize(now_.kept) == window_ - evict_rows_ && !before_.kept.empty();
  if (over_eviction) std::swap(now_, before_);
  const int32_t* const given = given_.data() + row % max_rows_ * std::ssize(now_.mass);
  for (const int slot : now_.kept) now_.mass[at(slot)] -= given[at(slot)];
  const auto n = std::ssize(now_.free);
  now_.first_free = static_cast<int>((now_.first_free + n - 1) % n);
  ++now_.n_free;
  now_.kept.pop_back();
  return over_eviction;
}

std::span<const RowMerge> KeptRows::make_room() {
  before_ = now_;
  merges_.clear();
  std::ranges::fill(taken_, 0);
  if (retention_ == Retention::kMerge) {
    merge_least();
  } else {
    drop_least();
  }
  for (const int slot : now_.kept) {
    now_.mass[at(slot)] -= now_.mass[at(slot)] / window_ * evict_rows_;
  }
  return merges_;
}

void KeptRows::drop_least() {
  const std::span ranks = std::span(order_).first(window_ - recent_);
  std::iota(ranks.begin(), ranks.end(), 0);
  std::ranges::partial_sort(ranks, ranks.begin() + evict_rows_, {}, [&](int rank) {
    return std::pair(now_.mass[at(now_.kept[rank])], rank);
  });
  for (const int rank : ranks.first(evict_rows_)) taken_[rank] = 1;
  size_t n_kept = 0;
  for (size_t rank = 0; rank < now_.kept.size(); ++rank) {
    if (taken_[rank] != 0) {
      give_free(now_.kept[rank]);
    } else {
      now_.kept[n_kept++] = now_.kept[rank];
    }
  }
  now_.kept.resize(n_kept);
}

// A pair is called by the rank of its older row. Of a third of the pairs that there are, and more,
// none has a row of another.
void KeptRows::merge_least() {
  const std::span pairs = std::span(order_).first(window_ - recent_ - 1);
  std::iota(pairs.begin(), pairs.end(), 0);
  const auto mass = [&](int rank) { return now_.mass[at(now_.kept[rank])]; };
  std::ranges::sort(pairs, {},
                    [&](int older) { return std::pair(mass(older) + mass(older + 1), older); });
  int n_left = evict_rows_;
  for (const int older : pairs) {
    if (n_left == 0) break;
    if (taken_[older] != 0 || taken_[older + 1] != 0) continue;
    taken_[older] = kOlder;
    taken_[older + 1] = kNewer;
    --n_left;
  }
  size_t n_kept = 0;
  for (size_t rank = 0; rank < now_.kept.size(); ++rank) {
    if (taken_[rank] == kNewer) continue;
    now_.kept[n_kept++] = taken_[rank] == kOlder ? merged(rank) : now_.kept[rank];
  }
  now_.kept.resize(n_kept);
  for (const RowMerge& merge : merges_) {
    for (const int slot : merge.from) give_free(slot);
  }
}

// The row that those of this rank and the next become. Their slots are free only when all merges
// have one of their own.
int KeptRows::merged(size_t rank) {
  const std::array from = {now_.kept[rank], now_.kept[rank + 1]};
  const int to = take_free();
  const std::array weights = {now_.weight[at(from[0])], now_.weight[at(from[1])]};
  merges_.push_back({from, weights, to});
  now_.mass[at(to)] = now_.mass[at(from[0])] + now_.mass[at(from[1])];
  set_weight(to, std::min(weights[0] + weights[1], kMaxWeight));
  return to;
}

void KeptRows::append_numbers(std::vector<int64_t>& numbers) const {
  numbers.push_back(std::ssize(now_.kept));
  numbers.insert(numbers.end(), now_.kept.begin(), now_.kept.end());
  for (int i = 0; i < now_.n_free; ++i) {
    numbers.push_back(now_.free[(now_.first_free + i) % now_.free.size()]);
  }
  numbers.insert(numbers.end(), now_.mass.begin(), now_.mass.end());
  numbers.insert(numbers.end(), now_.weight.begin(), now_.weight.end());
}

void KeptRows::restore(std::span<const int64_t> numbers) {
  const size_t n = now_.mass.size();
  const std::span slots = numbers.subspan(1, n);
  const std::span masses = numbers.subspan(1 + n, n);
  const std::span weights = numbers.subspan(1 + 2 * n, n);
  std::vector<char> named(n);
  for (const int64_t slot : slots) {
    if (slot >= first_slot_ && slot - first_slot_ < std::ssize(named))
      named[slot - first_slot_] = 1;
  }
  const auto sound = [](int64_t weight) { return weight >= 1 && weight <= kMaxWeight; };
  if (numbers[0] > window_ || std::ranges::count(named, 1) != std::ssize(named) ||
      !std::ranges::all_of(weights, sound)) {
    throw std::invalid_argument("ring: the saved plan keeps rows that cannot be kept together");
  }
  reset();
  now_.n_free = static_cast<int>(std::ssize(slots) - numbers[0]);
  now_.kept.assign(slots.begin(), slots.begin() + numbers[0]);
  std::copy(slots.begin() + numbers[0], slots.end(), now_.free.begin());
  std::ranges::copy(masses, now_.mass.begin());
  for (size_t i = 0; i < n; ++i) {
    set_weight(first_slot_ + static_cast<int>(i), static_cast<int32_t>(weights[i]));
  }
}

}  // namespace edgestream
