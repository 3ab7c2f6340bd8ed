// SPDX-License-Identifier: Apache-2.0
// The plan against a brute-force reference: it remembers every row ever, finds what a row sees by
// looking through all of them, and works out each distance from the layout's definition.
#include "core/ring/ring_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <vector>

#include "core/ring/ring_mask.h"

using edgestream::Layout;
using edgestream::RingPlan;
using edgestream::RingShape;
using edgestream::RingStep;
using edgestream::SlotSpan;

namespace {

constexpr int64_t kEmpty = -1;

struct Row {
  int region;
  bool sink;
  int64_t at;  // on a clock of all regions
};

class Reference {
 public:
  explicit Reference(RingShape shape) : shape_(std::move(shape)), next_(shape_.regions.size()) {}

  void enter(int region) {
    const bool sink = std::ssize(rows) < shape_.n_sinks;
    rows.push_back({region, sink, next_[region]});
    const int64_t next = next_[region] + 1;
    if (shape_.layout == Layout::kOneClock || sink) std::ranges::fill(next_, next);
    next_[region] = next;
  }

  void take_back() {
    const Row row = rows.back();
    rows.pop_back();
    if (shape_.layout == Layout::kOneClock || row.sink) std::ranges::fill(next_, row.at);
    next_[row.region] = row.at;
  }

  void begin_unit() {
    if (std::ssize(rows) < shape_.n_sinks || next_.size() == 1) return;
    if (shape_.layout == Layout::kOverlap) {
      std::ranges::fill(next_, *std::ranges::max_element(next_));
    }
    if (shape_.layout != Layout::kOneClock) return;
    std::vector<int64_t> kept;
    for (size_t region = 0; region < next_.size(); ++region) {
      std::ranges::copy(newest(static_cast<int>(region), std::ssize(rows)),
                        std::back_inserter(kept));
    }
    std::ranges::sort(kept, {}, [&](int64_t row) { return rows[row].at; });
    for (size_t i = 0; i < kept.size(); ++i) rows[kept[i]].at = shape_.n_sinks + i;
    std::ranges::fill(next_, shape_.n_sinks + std::ssize(kept));
  }

  // Row -> distance, of all that row `q` sees.
  std::map<int64_t, int64_t> seen(int64_t q) const {
    std::map<int64_t, int64_t> distances;
    const int64_t n_sinks = std::min<int64_t>(q + 1, shape_.n_sinks);
    if (rows[q].sink) {
      for (int64_t i = 0; i < n_sinks; ++i) distances[i] = q - i;
      return distances;
    }
    std::map<int64_t, int64_t> places;
    int64_t oldest = rows[q].at;
    for (int region = 0; region < static_cast<int>(next_.size()); ++region) {
      if (shape_.layout != Layout::kOneClock && region > rows[q].region) continue;
      int64_t place = region > 0 ? shape_.gap : shape_.n_sinks;
      for (const int64_t row : newest(region, q + 1)) {
        places[row] = shape_.layout == Layout::kGrouped ? place++ : rows[row].at;
        oldest = std::min(oldest, rows[row].at);
      }
    }
    for (const auto& [row, place] : places) distances[row] = places[q] - place;
    const int64_t from_sink_0 =
        shape_.layout == Layout::kGrouped ? places[q] : shape_.n_sinks + rows[q].at - oldest;
    for (int64_t i = 0; i < n_sinks; ++i) distances[i] = from_sink_0 - i;
    return distances;
  }

  std::vector<Row> rows;

 private:
  // The newest rows of a region among the first `n` of all, oldest first.
  std::vector<int64_t> newest(int region, int64_t n) const {
    std::vector<int64_t> found;
    for (int64_t row = n - 1; row >= 0; --row) {
      if (std::ssize(found) == shape_.regions[region].window) break;
      if (rows[row].region == region && !rows[row].sink) found.insert(found.begin(), row);
    }
    return found;
  }

  RingShape shape_;
  std::vector<int64_t> next_;
};

// What a ring of real keys would hold: which row lies in each slot, by how much its key is rotated
// and how often it was rotated after it was written.
class Keys {
 public:
  explicit Keys(const RingPlan& plan)
      : row(plan.n_slots(), kEmpty), rotation(plan.n_slots()), n_turns(plan.n_slots()) {}

  void apply(const RingPlan& plan, const RingStep& step, int64_t first) {
    if (step.place_keys) plan.write_key_positions(rotation);
    for (int clock = 0; clock < plan.n_clocks(); ++clock) {
      const auto [begin, end] = plan.clock_slots(clock);
      for (int slot = begin; slot < end && step.rebase_by[clock] != 0; ++slot) {
        rotation[slot] -= step.rebase_by[clock];
        ++n_turns[slot];
      }
    }
    for (int sink = 0; sink < plan.shape().n_sinks; ++sink) {
      rotation[sink] = step.sink_position + sink;
    }
    for (int r = 0; r < step.n_rows; ++r) {
      row[step.slots[r]] = first + r;
      rotation[step.slots[r]] = step.positions[r];
      n_turns[step.slots[r]] = 0;
    }
  }

  std::vector<int64_t> row;
  std::vector<int32_t> rotation;
  std::vector<int> n_turns;
};

// doctest's own macros are too slow for millions of checks.
void require(bool holds, const char* what) {
  if (!holds) FAIL(std::string(what));
}

void check_row(const RingPlan& plan, const RingStep& step, const Keys& keys, int r,
               std::span<const float> mask, std::span<const float> near, int reach,
               std::map<int64_t, int64_t> expected) {
  for (int clock = -1; clock < plan.n_clocks(); ++clock) {
    const bool sinks = clock < 0;
    const auto [begin, end] = sinks ? std::pair(0, plan.shape().n_sinks) : plan.clock_slots(clock);
    // Rows that become sinks look at each other as at anything else.
    const int64_t from = sinks && !step.into_sinks
                             ? step.sink_query_positions[r]
                             : step.query_positions[std::max(clock, 0) * step.n_rows + r];
    for (int slot = begin; slot < end; ++slot) {
      require(mask[slot] == 0.F || (std::isinf(mask[slot]) && mask[slot] < 0.F),
              "the mask is 0 or -infinity");
      require(mask[slot] == 0.F || near[slot] == mask[slot], "what is hidden stays hidden");
      if (mask[slot] != 0.F) continue;
      const auto found = expected.find(keys.row[slot]);
      require(found != expected.end(), "no row sees what it should not");
      require(from - keys.rotation[slot] == found->second, "distances are exact");
      require((near[slot] == 0.F) == (found->second < reach), "what is near is seen from near");
      require(keys.n_turns[slot] <= 1, "a visible key was turned once at most");
      expected.erase(found);
    }
  }
  require(expected.empty(), "all that should be seen is");
}

// A row [n_columns] of a mask slot by slot: what is not read is hidden.
std::vector<float> by_slot(const RingPlan& plan, const RingStep& step, std::span<const float> row) {
  std::vector<float> slots(plan.n_slots(), -std::numeric_limits<float>::infinity());
  for (const SlotSpan& read : step.reads) {
    std::ranges::copy(row.subspan(read.first_column, read.n), slots.begin() + read.first_slot);
  }
  return slots;
}

void check_step(const RingPlan& plan, const RingStep& step, const Keys& keys,
                const Reference& reference, int64_t first) {
  std::vector<float> mask(static_cast<size_t>(step.n_rows) * step.n_columns, 7.F);
  write_mask(plan.rows(), step, mask);
  const int reach = static_cast<int>(first % 40) + 1;
  std::vector<float> near = mask;
  hide_beyond(plan.rows(), step, reach, near);
  for (int r = 0; r < step.n_rows; ++r) {
    const auto of_row = [&](std::span<const float> all) {
      return by_slot(plan, step, all.subspan(r * step.n_columns, step.n_columns));
    };
    check_row(plan, step, keys, r, of_row(mask), of_row(near), reach, reference.seen(first + r));
  }
  if (plan.n_clocks() > 1) return;
  require(step.sink_query_positions[step.n_rows - 1] == step.positions[step.n_rows - 1],
          "the sinks lie right for the last row");
}

// Seen columns are those of the mask, oldest first.
void check_seen_columns(const RingPlan& plan, const RingStep& step, const Keys& keys) {
  std::vector<float> mask(static_cast<size_t>(step.n_rows) * step.n_columns);
  write_mask(plan.rows(), step, mask);
  std::vector<int> columns;
  int64_t n_seen = 0;
  for (int region = 0; region < plan.n_regions(); ++region) {
    write_seen_columns(plan.rows(), step, region, columns);
    n_seen += std::ssize(columns);
    const SlotSpan& read = step.reads[region];
    const auto row_in = [&](int column) {
      return keys.row[column - read.first_column + read.first_slot];
    };
    require(std::ranges::is_sorted(columns, {}, row_in), "columns come oldest first");
    for (const int column : columns) {
      require(mask[(step.n_rows - 1) * step.n_columns + column] == 0.F, "what is named is seen");
    }
  }
  const auto last = std::span(mask).subspan((step.n_rows - 1) * step.n_columns);
  const int64_t n_sinks = std::min<int64_t>(plan.pos(), plan.shape().n_sinks);
  require(n_seen + n_sinks == std::ranges::count(last, 0.F), "all that is seen is named");
}

// What is read are whole blocks of each region, side by side.
void check_reads(const RingPlan& plan, const RingStep& step) {
  int n_columns = 0;
  for (int region = 0; region < plan.n_regions(); ++region) {
    const SlotSpan& read = step.reads[region];
    const SlotSpan all = plan.rows().all_slots(region);
    require(read.first_column == n_columns, "columns lie side by side");
    require(read.first_slot == all.first_slot && read.n <= all.n, "slots are the region's");
    require(read.n > 0 && read.n % edgestream::kSlotBlock == 0, "blocks are whole");
    n_columns += read.n;
  }
  require(step.n_columns == n_columns, "columns are counted");
}

class Stream {
 public:
  Stream(RingPlan& plan, std::mt19937& random)
      : plan_(plan), random_(random), reference_(plan.shape()), keys_(plan) {}

  int pick(int low, int high) { return std::uniform_int_distribution<>(low, high)(random_); }

  void run(int n_steps, int max_waiting) {
    for (int i = 0; i < n_steps; ++i) {
      if (pick(0, 6) == 0) {
        plan_.begin_unit();
        reference_.begin_unit();
      }
      const bool proposes = pick(0, 3) == 0;
      const std::vector<int> taken =
          take(proposes ? pick(1, plan_.shape().max_rows) : pick(1, max_waiting));
      for (int n_back = proposes ? pick(0, static_cast<int>(taken.size())) : 0; n_back > 0;
           --n_back) {
        plan_.take_back(reference_.rows.back().region);
        reference_.take_back();
      }
      REQUIRE(plan_.pos() == std::ssize(reference_.rows));
    }
  }

  int n_rebases = 0;

 private:
  std::vector<int> take(int n_waiting) {
    std::vector<int> regions(n_waiting);
    for (size_t i = 0; i < regions.size(); ++i) {
      const bool sink = plan_.pos() + static_cast<int64_t>(i) < plan_.shape().n_sinks;
      const bool stays = i > 0 && pick(0, 2) > 0;
      regions[i] = sink ? 0 : stays ? regions[i - 1] : pick(0, plan_.n_regions() - 1);
    }
    for (std::span<const int> left = regions; !left.empty();) {
      const int n = plan_.next_rows(std::ssize(left));
      take_step(left.first(n));
      left = left.subspan(n);
    }
    return regions;
  }

  void take_step(std::span<const int> regions) {
    const int64_t first = plan_.pos();
    for (const int region : regions) reference_.enter(region);
    const RingStep& step = plan_.take(regions);
    REQUIRE(plan_.pos() == first + step.n_rows);
    REQUIRE(step.into_sinks == (first < plan_.shape().n_sinks));
    n_rebases += std::ranges::any_of(step.rebase_by, [](int32_t by) { return by != 0; });
    keys_.apply(plan_, step, first);
    check_step(plan_, step, keys_, reference_, first);
    check_seen_columns(plan_, step, keys_);
    check_reads(plan_, step);
  }

  RingPlan& plan_;
  std::mt19937& random_;
  Reference reference_;
  Keys keys_;
};

RingShape one_region(int n_sinks, int window, int max_rows) {
  return {.n_sinks = n_sinks, .regions = {{.window = window}}, .max_rows = max_rows};
}

}  // namespace

TEST_CASE("every row sees what its layout says at exact distances, however a stream is cut") {
  std::mt19937 random(20);
  int n_rebases = 0;
  for (int trial = 0; trial < 120; ++trial) {
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<>(low, high)(random);
    };
    RingShape shape{.n_sinks = pick(0, 5), .max_rows = 1 << pick(0, 4)};
    shape.layout = static_cast<Layout>(pick(0, 2));
    shape.gap = shape.layout == Layout::kGrouped ? pick(0, 1) * pick(0, 20'000) : 0;
    const int n_regions = pick(1, 3);
    int all = 0;
    for (int i = 0; i < n_regions; ++i) {
      shape.regions.push_back({std::string(1, static_cast<char>('a' + i)), pick(1, 24)});
      all += shape.regions.back().window;
    }
    shape.rebase_rows = all + shape.max_rows + pick(0, 20);
    CAPTURE(trial);
    RingPlan plan(shape);
    Stream stream(plan, random);
    stream.run(90, 20);
    plan.reset();
    CHECK(plan.pos() == 0);
    Stream again(plan, random);
    again.run(20, 3);
    n_rebases += stream.n_rebases;
  }
  CHECK(n_rebases > 100);
}

TEST_CASE("positions stay small for ever") {
  RingPlan plan(one_region(2, 125, 1));
  int32_t highest = 0;
  int32_t lowest = 0;
  constexpr int64_t kRows = 3'000'000;
  const std::vector<int> row{0};
  while (plan.pos() < kRows) {
    const int32_t position = plan.take(row).positions[0];
    highest = std::max(highest, position);
    lowest = std::min(lowest, position);
  }
  CHECK(highest < 2 + 125 + 126 + 1);
  CHECK(lowest == 0);
}

TEST_CASE("the clock of each region stays small, whichever is idle") {
  RingPlan plan({.n_sinks = 1,
                 .regions = {{"input", 40}, {"output", 9}},
                 .max_rows = 4,
                 .layout = Layout::kGrouped});
  int32_t highest = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::vector<int> row{i > 0 && i % 1000 < 10 ? 1 : 0};
    const RingStep& step = plan.take(row);
    highest = std::max({highest, step.positions[0], *std::ranges::max_element(step.query_positions),
                        step.sink_query_positions[0]});
  }
  CHECK(highest < 400);
}

TEST_CASE("closing holes makes the kept rows neighbours") {
  RingPlan plan({.n_sinks = 0, .regions = {{"text", 3}, {"vision", 2}}, .max_rows = 4});
  const auto take = [&](int region) -> const RingStep& { return plan.take(std::vector{region}); };
  CHECK(take(0).positions[0] == 0);
  for (int i = 1; i < 50; ++i) CHECK(take(1).positions[0] == i);
  plan.begin_unit();
  const RingStep& step = take(0);
  CHECK(step.positions[0] == 3);  // behind one row of text and two of vision
  std::vector<int32_t> positions(plan.n_slots());
  plan.write_key_positions(positions);
  std::vector<int> columns;  // as long as all of it is read they are slots
  write_seen_columns(plan.rows(), step, 0, columns);
  CHECK(positions[columns[0]] == 0);
  CHECK(positions[columns[1]] == 3);
}

TEST_CASE("steps are powers of two, or one more where there are regions, and end with the sinks") {
  const auto cut = [](RingPlan plan) {
    std::vector<int> taken;
    for (int64_t waiting = 30; waiting > 0; waiting -= taken.back()) {
      taken.push_back(plan.next_rows(waiting));
      plan.take(std::vector<int>(taken.back()));
    }
    return taken;
  };
  CHECK(cut(RingPlan(one_region(3, 8, 16))) == std::vector<int>{2, 1, 16, 8, 2, 1});
  CHECK(cut(RingPlan({.n_sinks = 3, .regions = {{"a", 8}, {"b", 8}}, .max_rows = 16})) ==
        std::vector<int>{3, 16, 9, 2});
}

TEST_CASE("slots are a multiple of 64 and hold the window of every row of a step") {
  CHECK(RingPlan(one_region(2, 125, 1)).n_slots() == 128);
  CHECK(RingPlan(one_region(2, 125, 32)).n_slots() == 192);
  CHECK(RingPlan(one_region(0, 1, 1)).n_slots() == 64);
  CHECK(RingPlan({.regions = {{"a", 58}, {"b", 4}}, .max_rows = 1}).n_slots() == 128);
}

TEST_CASE("a young stream reads the blocks that it has written") {
  RingPlan plan({.n_sinks = 4, .regions = {{"a", 200}, {"b", 100}}, .max_rows = 64});
  const auto read_after = [&](int region, int n_rows) {
    const RingStep& step = plan.take(std::vector(n_rows, region));
    return std::pair(step.reads[0].n, step.reads[1].n);
  };
  CHECK(plan.n_slots() == 320 + 192);
  CHECK(read_after(0, 4) == std::pair(64, 64));
  CHECK(read_after(0, 32) == std::pair(64, 64));
  CHECK(read_after(0, 32) == std::pair(128, 64));
  CHECK(read_after(1, 64) == std::pair(128, 64));
  CHECK(read_after(1, 1) == std::pair(128, 128));
  plan.take_back(1);
  CHECK(read_after(0, 1) == std::pair(128, 64));
  for (int i = 0; i < 10; ++i) read_after(i % 2, 64);
  CHECK(read_after(0, 1) == std::pair(320, 192));
  plan.reset();
  CHECK(read_after(0, 4) == std::pair(64, 64));
}

TEST_CASE("a shape out of range is refused with its number") {
  const auto refused = [](const RingShape& shape, const char* message) {
    CHECK_THROWS_WITH_AS(RingPlan{shape}, message, std::invalid_argument);
  };
  refused(one_region(-1, 8, 1), "ring: n_sinks is -1, it must be 0 to 65536");
  refused(one_region(0, 0, 1), "ring: window is 0, it must be 1 to 1048576");
  refused(one_region(0, 8, 3), "ring: max_rows is 3, it must be a power of two");
  RingShape shape = one_region(0, 8, 4);
  shape.rebase_rows = 11;
  refused(shape, "ring: rebase_rows is 11, it must be 12 to 33554432");
  refused({}, "ring: the number of regions is 0, it must be 1 to 8");
  refused({.regions = {{"a", 1}, {"b", 0}}}, "ring: window of b is 0, it must be 1 to 1048576");
  refused({.regions = {{"a", 1}, {"a", 2}}}, "ring: two regions are called 'a'");
  refused({.regions = {{"a", 1}}, .gap = 5}, "ring: gap is 5, it must be 0 to 0");
}
