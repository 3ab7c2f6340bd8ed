// SPDX-License-Identifier: Apache-2.0
// The plan against a reference that keeps the set of rows and every key's rotation by hand.
#include "core/ring_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

using edgestream::RingPlan;
using edgestream::RingShape;
using edgestream::RingStep;

namespace {

constexpr int64_t kEmpty = -1;

// What a ring of real keys would hold: which row lies in each slot, by how much its key is rotated
// and how often it was rotated after it was written.
class Keys {
 public:
  explicit Keys(const RingPlan& plan)
      : row(plan.n_slots(), kEmpty), rotation(plan.n_slots()), n_rebases(plan.n_slots()) {}

  void apply(const RingStep& step, int64_t first, int n_sinks) {
    for (size_t slot = n_sinks; slot < row.size() && step.rebase_by != 0; ++slot) {
      rotation[slot] -= step.rebase_by;
      ++n_rebases[slot];
    }
    for (int r = 0; r < step.n_rows; ++r) {
      row[step.slots[r]] = first + r;
      rotation[step.slots[r]] = step.positions[r];
      n_rebases[step.slots[r]] = 0;
    }
    if (step.into_sinks) return;
    for (int sink = 0; sink < n_sinks; ++sink) rotation[sink] = step.sink_position + sink;
  }

  std::vector<int64_t> row;
  std::vector<int64_t> rotation;
  std::vector<int> n_rebases;
};

// doctest's own macros are too slow for tens of millions of checks.
void require(bool holds, const char* what) {
  if (!holds) FAIL(what);
}

// Every row of the step sees exactly the rows that it should, each once and at its distance.
void check_step(const RingPlan& plan, const RingStep& step, const Keys& keys, int64_t first) {
  const int64_t n_sinks = plan.shape().n_sinks;
  const int64_t window = plan.shape().window;
  std::vector<float> mask(static_cast<size_t>(step.n_rows) * plan.n_slots(), 7.F);
  plan.write_mask(mask);
  for (int r = 0; r < step.n_rows; ++r) {
    const int64_t pos = first + r;
    int64_t n_seen = 0;
    for (int64_t slot = 0; slot < plan.n_slots(); ++slot) {
      const float bias = mask[r * plan.n_slots() + slot];
      require(bias == 0.F || (std::isinf(bias) && bias < 0.F), "the mask is 0 or -infinity");
      if (bias != 0.F) continue;
      ++n_seen;
      const int64_t key = keys.row[slot];
      const bool sink = key < n_sinks;
      require(key != kEmpty && key <= pos, "no row sees an empty slot or the future");
      require(sink || pos - key < window, "no row sees what has left the window");
      require(keys.n_rebases[slot] <= 1, "a visible key was rebased once at most");
      const int64_t looks_from = sink ? step.sink_query_positions[r] : step.positions[r];
      const int64_t distance = sink ? std::min(pos - key, n_sinks + window - 1 - key) : pos - key;
      require(looks_from - keys.rotation[slot] == distance, "distances are exact");
    }
    require(
        n_seen == std::min(pos + 1, n_sinks) + std::clamp<int64_t>(pos + 1 - n_sinks, 0, window),
        "as many rows are seen as should be");
  }
  require(step.sink_query_positions[step.n_rows - 1] == step.positions[step.n_rows - 1],
          "the sinks lie right for the last row");
}

int run_stream(RingPlan& plan, int64_t n_rows, int max_waiting, std::mt19937& random) {
  Keys keys(plan);
  int n_rebases = 0;
  const int64_t highest = plan.shape().n_sinks + plan.shape().window + plan.shape().rebase_rows;
  while (plan.pos() < n_rows) {
    const int n = plan.next_rows(std::uniform_int_distribution<>(1, max_waiting)(random));
    const int64_t first = plan.pos();
    const RingStep& step = plan.take(n);
    REQUIRE(plan.pos() == first + n);
    REQUIRE(step.into_sinks == (first < plan.shape().n_sinks));
    REQUIRE(*std::ranges::max_element(step.positions) < highest);
    REQUIRE(*std::ranges::min_element(step.positions) >= 0);
    n_rebases += step.rebase_by != 0;
    keys.apply(step, first, plan.shape().n_sinks);
    check_step(plan, step, keys, first);
  }
  return n_rebases;
}

}  // namespace

TEST_CASE("every row sees the sinks and its window at exact distances, however it is cut") {
  std::mt19937 random(20);
  for (int trial = 0; trial < 60; ++trial) {
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<>(low, high)(random);
    };
    RingShape shape{pick(0, 5), pick(1, 70), 1 << pick(0, 5)};
    shape.rebase_rows = shape.window + shape.max_rows + pick(0, 40);
    CAPTURE(shape.n_sinks);
    CAPTURE(shape.window);
    CAPTURE(shape.max_rows);
    RingPlan plan(shape);
    CHECK(run_stream(plan, 1200, pick(1, 80), random) >= 3);
    plan.reset();
    CHECK(plan.pos() == 0);
    CHECK(run_stream(plan, 300, 1, random) >= 1);
  }
}

TEST_CASE("positions stay small for ever") {
  RingPlan plan({2, 125, 1});
  int32_t highest = 0;
  constexpr int64_t kRows = 3'000'000;
  while (plan.pos() < kRows) highest = std::max(highest, plan.take(1).positions[0]);
  CHECK(highest < 2 + 125 + 126 + 1);
}

TEST_CASE("steps are powers of two and end with the sinks") {
  RingPlan plan({3, 8, 16});
  std::vector<int> taken;
  for (int64_t waiting = 30; waiting > 0; waiting -= taken.back()) {
    taken.push_back(plan.next_rows(waiting));
    plan.take(taken.back());
  }
  CHECK(taken == std::vector<int>{2, 1, 16, 8, 2, 1});
}

TEST_CASE("slots are a multiple of 64 and hold the window of every row of a step") {
  CHECK(RingPlan({2, 125, 1}).n_slots() == 128);
  CHECK(RingPlan({2, 125, 32}).n_slots() == 192);
  CHECK(RingPlan({0, 1, 1}).n_slots() == 64);
}

TEST_CASE("a shape out of range is refused with its number") {
  CHECK_THROWS_WITH_AS(RingPlan({-1, 8, 1}), "ring: n_sinks is -1, it must be 0 to 65536",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(RingPlan({0, 0, 1}), "ring: window is 0, it must be 1 to 1048576",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(RingPlan({0, 8, 3}), "ring: max_rows is 3, it must be a power of two",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(RingPlan({0, 8, 4, 11}), "ring: rebase_rows is 11, it must be 12 to 4194304",
                       std::invalid_argument);
}
