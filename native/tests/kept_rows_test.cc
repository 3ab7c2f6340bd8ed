// SPDX-License-Identifier: Apache-2.0
// Retention by attention against a brute-force reference: it starts anew from the first row every
// time, remembers for each kept row which rows it stands for, and never takes anything back.
#include "core/ring/kept_rows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include "core/ring/ring_mask.h"
#include "core/ring/ring_numbers.h"

using edgestream::Retention;
using edgestream::RingPlan;
using edgestream::RingShape;
using edgestream::RingStep;

namespace {

using Rows = std::vector<int64_t>;  // that one kept row stands for

constexpr int64_t kUnit = 1 << 24;  // of mass: shares are given in whole ones

// What row `row` gives to the kept row of a rank, in units: few different values, so that many are
// equal.
int64_t given(int64_t row, size_t rank) {
  return (row * 7919 + static_cast<int64_t>(rank) * 104729) % 13;
}

int64_t weight_of(const Rows& rows) { return std::min<int64_t>(std::ssize(rows), 4); }

struct Kept {
  Rows rows;
  int64_t mass = 0;
};

class Reference {
 public:
  explicit Reference(const RingShape& shape) : shape_(shape) {}

  // What row `n - 1` sees behind the sinks, itself included, after rows 0 to n - 1.
  std::vector<Kept> after(int64_t n) const {
    std::vector<Kept> kept;
    for (int64_t row = shape_.n_sinks; row < n; ++row) {
      if (std::ssize(kept) == shape_.regions[0].window) evict(kept);
      kept.push_back({{row}});
      for (size_t rank = 0; rank < kept.size(); ++rank) kept[rank].mass += given(row, rank);
    }
    return kept;
  }

 private:
  size_t n_free(const std::vector<Kept>& kept) const { return kept.size() - shape_.recent; }

  void evict(std::vector<Kept>& kept) const {
    if (shape_.retention == Retention::kMerge) {
      merge(kept);
    } else {
      for (int i = 0; i < shape_.evict_rows; ++i) drop(kept);
    }
    for (Kept& row : kept) row.mass -= row.mass / shape_.regions[0].window * shape_.evict_rows;
  }

  void drop(std::vector<Kept>& kept) const {
    const auto end = kept.begin() + static_cast<int64_t>(n_free(kept));
    kept.erase(std::min_element(kept.begin(), end,
                                [](const Kept& a, const Kept& b) { return a.mass < b.mass; }));
  }

  // The least pair again and again, of those in which nothing was merged yet.
  void merge(std::vector<Kept>& kept) const {
    std::vector<bool> used(kept.size());
    for (int i = 0; i < shape_.evict_rows; ++i) {
      size_t least = kept.size();
      for (size_t older = 0; older + 1 < n_free(kept); ++older) {
        if (used[older] || used[older + 1]) continue;
        const int64_t mass = kept[older].mass + kept[older + 1].mass;
        if (least == kept.size() || mass < kept[least].mass + kept[least + 1].mass) least = older;
      }
      REQUIRE(least < kept.size());
      used[least] = used[least + 1] = true;
      newer_.push_back(least + 1);
    }
    std::ranges::sort(newer_, std::greater{});
    for (const size_t newer : newer_) {
      kept[newer - 1].rows.insert(kept[newer - 1].rows.end(), kept[newer].rows.begin(),
                                  kept[newer].rows.end());
      kept[newer - 1].mass += kept[newer].mass;
      kept.erase(kept.begin() + static_cast<int64_t>(newer));
    }
    newer_.clear();
  }

  RingShape shape_;
  mutable std::vector<size_t> newer_;
};

// A ring of rows that only remember which rows they are, driven by a plan.
class Ring {
 public:
  explicit Ring(const RingShape& shape)
      : plan_(shape),
        reference_(plan_.shape()),
        slots_(plan_.n_slots()),
        positions_(slots_.size()) {}

  int64_t pos() const { return plan_.pos(); }
  int max_rows() const { return plan_.shape().max_rows; }

  void take(int64_t n_waiting) {
    while (n_waiting > 0) {
      const int n = plan_.next_rows(n_waiting);
      apply(plan_.take(std::vector<int>(n)));
      n_waiting -= n;
    }
  }

  void take_back(int n) {
    for (; n > 0; --n) plan_.take_back(0);
  }

  // A plan that another one goes on from.
  void save_and_restore() {
    RingPlan other(plan_.shape());
    other.restore(rows_of(numbers_of(plan_.rows()), other.rows()));
    plan_ = other;
  }

  void reset() { plan_.reset(); }

 private:
  void apply(const RingStep& step) {
    for (const auto& [from, weights, to] : step.merges) {
      for (size_t i = 0; i < from.size(); ++i) REQUIRE(weights[i] == weight_of(slots_[from[i]]));
      slots_[to] = slots_[from[0]];
      slots_[to].insert(slots_[to].end(), slots_[from[1]].begin(), slots_[from[1]].end());
    }
    if (step.place_keys) plan_.write_key_positions(positions_);
    const int64_t first = plan_.pos() - step.n_rows;
    for (int r = 0; r < step.n_rows; ++r) {
      slots_[step.slots[r]] = {first + r};
      positions_[step.slots[r]] = step.positions[r];
    }
    check(step, first);
    give(step, first);
  }

  void check(const RingStep& step, int64_t first) {
    std::vector<float> mask(static_cast<size_t>(step.n_rows) * step.n_columns, 7.F);
    write_mask(plan_.rows(), step, mask);
    for (int r = 0; r < step.n_rows && !step.into_sinks; ++r) {
      const std::span seen = std::span(mask).subspan(r * step.n_columns, step.n_columns);
      std::vector<Kept> expected = reference_.after(first + r + 1);
      const int n_sinks = plan_.shape().n_sinks;
      REQUIRE(std::ranges::count_if(seen, [](float m) { return std::isfinite(m); }) ==
              n_sinks + std::ssize(expected));
      for (int slot = n_sinks; slot < step.n_columns; ++slot) {
        if (!std::isfinite(seen[slot])) continue;
        const int64_t rank = positions_[slot] - n_sinks;  // also the exact distance to the row
        REQUIRE(rank >= 0);
        REQUIRE(rank < std::ssize(expected));
        REQUIRE(step.positions[r] == n_sinks + std::ssize(expected) - 1);
        REQUIRE(slots_[slot] == expected[rank].rows);
        REQUIRE(seen[slot] == std::log(static_cast<float>(weight_of(slots_[slot]))));
      }
      REQUIRE(step.sink_position == 0);
      REQUIRE(step.sink_query_positions[r] == step.positions[r]);
    }
  }

  void give(const RingStep& step, int64_t first) {
    std::vector<float> shares(static_cast<size_t>(step.n_rows) * step.n_columns);
    for (int r = 0; r < step.n_rows; ++r) {
      const size_t n_kept = reference_.after(first + r + 1).size();
      for (int slot = plan_.shape().n_sinks; slot < step.n_columns; ++slot) {
        const auto rank = static_cast<size_t>(positions_[slot] - plan_.shape().n_sinks);
        if (rank >= n_kept) continue;
        shares[r * step.n_columns + slot] =
            static_cast<float>(given(first + r, rank)) / static_cast<float>(kUnit);
      }
    }
    plan_.add_mass(shares);
  }

  RingPlan plan_;
  Reference reference_;
  std::vector<Rows> slots_;
  std::vector<int32_t> positions_;
};

RingShape random_shape(std::mt19937& random, Retention retention) {
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<>(low, high)(random);
  };
  RingShape shape{.n_sinks = pick(0, 3), .max_rows = 1 << pick(0, 3), .retention = retention};
  shape.evict_rows = shape.max_rows + pick(0, 3);
  shape.recent = pick(1, 9);
  shape.regions = {{.window = shape.recent + 3 * shape.evict_rows + pick(0, 20)}};
  return shape;
}

}  // namespace

TEST_CASE(
    "who is kept depends on the rows alone, however they are cut and whatever is taken back") {
  std::mt19937 random(11);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<>(low, high)(random);
  };
  for (const Retention retention : {Retention::kHeavyHitter, Retention::kMerge}) {
    for (int trial = 0; trial < 60; ++trial) {
      CAPTURE(trial);
      Ring ring(random_shape(random, retention));
      for (int i = 0; i < 40; ++i) {
        const bool proposes = pick(0, 2) > 0;
        const int n = proposes ? pick(1, ring.max_rows()) : pick(1, 30);
        const int64_t before = ring.pos();
        ring.take(n);
        if (proposes) ring.take_back(pick(0, n));
        REQUIRE(ring.pos() <= before + n);
        if (pick(0, 5) == 0) ring.save_and_restore();
        if (pick(0, 30) == 0) ring.reset();
      }
    }
  }
}

TEST_CASE("an eviction inside a proposal is undone with it") {
  for (const Retention retention : {Retention::kHeavyHitter, Retention::kMerge}) {
    Ring ring({.n_sinks = 1,
               .regions = {{.window = 30}},
               .max_rows = 8,
               .retention = retention,
               .recent = 6});
    ring.take(27);
    for (int n_kept = 0; n_kept < 8; ++n_kept) {
      ring.take(8);
      ring.take_back(8 - n_kept);
    }
    CHECK(ring.pos() == 27 + 28);
  }
}

TEST_CASE("retention out of range is refused in one line") {
  const auto refused = [](const RingShape& shape, const char* message) {
    CHECK_THROWS_WITH_AS(RingPlan{shape}, message, std::invalid_argument);
  };
  RingShape shape{
      .regions = {{.window = 30}}, .max_rows = 4, .retention = Retention::kMerge, .recent = 31};
  refused(shape, "ring: recent is 31, it must be 0 to 30");
  shape.recent = 20;
  refused(shape,
          "ring: a window of 30 with 20 recent rows is too small to choose who leaves; beside "
          "these it must be three times max_rows, 12");
  shape.recent = 12;
  shape.evict_rows = 7;
  refused(shape, "ring: evict_rows is 7, it must be 4 to 6");
  shape.retention = Retention::kWindow;
  refused(shape,
          "ring: recent and evict_rows are for a retention by attention; with 'window' the oldest "
          "row leaves");
  refused({.regions = {{"a", 30}, {"b", 30}}, .retention = Retention::kHeavyHitter},
          "ring: retention by attention is for one region; with several the oldest row of a region "
          "leaves ('window')");
}
