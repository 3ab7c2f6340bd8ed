// SPDX-License-Identifier: Apache-2.0
// Saved plans that were damaged or forged.
#include "core/ring/ring_numbers.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

#include "core/ring/ring_plan.h"

using namespace edgestream;

namespace {

constexpr const char* kOutOfPlace = "ring: the saved plan has rows out of their places";

// A ring that took `n_rows` rows in turn, and what its numbers are refused with.
class Saved {
 public:
  Saved(const RingShape& shape, int n_rows) : plan_(shape) {
    for (int row = 0; row < n_rows; ++row) {
      plan_.take(std::vector{row < shape.n_sinks ? 0 : row % plan_.n_regions()});
    }
    numbers = numbers_of(plan_.rows());
    CHECK(numbers_of(rows_of(numbers, RingPlan(shape).rows())) == numbers);
  }

  void refuses(const char* message, size_t at, int64_t value) const {
    std::vector<int64_t> forged = numbers;
    forged[at] = value;
    CHECK_THROWS_WITH_AS(rows_of(forged, plan_.rows()), message, std::invalid_argument);
  }

  std::vector<int64_t> numbers;

 private:
  RingPlan plan_;
};

}  // namespace

TEST_CASE("positions too far from their clock's base are not restored") {
  const Saved saved({.n_sinks = 2, .regions = {{"a", 4}, {"b", 4}}, .max_rows = 2}, 30);
  saved.refuses(kOutOfPlace, 3, int64_t{1} << 58);      // the next position of a
  saved.refuses(kOutOfPlace, 6, int64_t{1} << 30);      // the base
  saved.refuses(kOutOfPlace, 7 + 2, int64_t{1} << 31);  // of a row of a that is still seen
}

TEST_CASE("rows that cannot be kept together are not restored") {
  constexpr const char* kNotTogether =
      "ring: the saved plan keeps rows that cannot be kept together";
  const Saved saved({.regions = {{.window = 12}}, .retention = Retention::kMerge, .recent = 3}, 1);
  // 12 rows, max_rows and evict_rows besides
  const size_t n_kept = saved.numbers.size() - 3 * 16 - 1;
  CHECK(saved.numbers[n_kept] == 1);
  saved.refuses(kNotTogether, n_kept, 13);
  saved.refuses(kNotTogether, n_kept + 1, saved.numbers[n_kept + 2]);  // a slot twice
  saved.refuses(kNotTogether, n_kept + 1, 64);
  saved.refuses(kNotTogether, n_kept + 1 + 2 * 16, 0);  // a row that stands for none
}

TEST_CASE("rows out of their places are not restored") {
  const Saved saved({.n_sinks = 2,
                     .regions = {{.window = 12}},
                     .retention = Retention::kHeavyHitter,
                     .recent = 3},
                    20);
  saved.refuses(kOutOfPlace, 3, int64_t{1} << 58);  // the next position
  saved.refuses(kOutOfPlace, 4, 1);                 // the base
  saved.refuses(kOutOfPlace, 5 + 63, 14);           // of a slot that is not used
  saved.refuses(kOutOfPlace, 5 + 64, 1);            // an axis
}
