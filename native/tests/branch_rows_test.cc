// SPDX-License-Identifier: Apache-2.0
#include "core/ring/branch_rows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

using edgestream::branch_batches;
using edgestream::BranchBatch;
using edgestream::BranchLogits;

TEST_CASE("each row of trunk and branches comes once, behind what it sees, in a slot of its own") {
  std::mt19937 random(1);
  const auto number = [&](int least, int most) {
    return std::uniform_int_distribution(least, most)(random);
  };
  for (int trial = 0; trial < 300; ++trial) {
    const int max_rows = 1 << number(1, 5), n_trunk = number(0, max_rows - 1);
    std::vector<int> lengths(number(1, 9));
    for (int& length : lengths) length = number(1, max_rows - n_trunk);
    std::vector<int> n_seen(lengths.size());  // rows of each branch so far
    int n_trunk_seen = 0;
    const bool every = number(0, 1) == 1;
    const auto wanted = every ? BranchLogits::kEveryRow : BranchLogits::kLastRows;
    for (const BranchBatch& batch : branch_batches(n_trunk, lengths, max_rows, wanted)) {
      std::set<int> slots;
      for (int depth = 0; depth < n_trunk; ++depth) slots.insert(depth);
      for (size_t row = 0; row < batch.rows.size(); ++row) {
        const auto& [depth, n_own, shift] = batch.rows[row];
        const int branch = batch.branches[row];
        const bool of_every = branch >= 0 || depth + 1 == n_trunk;
        const bool is_last = branch >= 0 && n_own == lengths[branch];
        CHECK((every ? of_every : is_last) == (static_cast<int>(row) >= batch.n_silent));
        if (branch < 0) {
          CHECK(depth == n_trunk_seen++);
          CHECK(n_own == 0);
          CHECK(shift == 0);
          continue;
        }
        CHECK(n_trunk_seen == n_trunk);
        CHECK(n_own == ++n_seen[branch]);
        CHECK(depth == n_trunk + n_own - 1);
        CHECK(slots.insert(depth + shift).second);
      }
      CHECK(*slots.rbegin() < max_rows);
      CHECK(std::ranges::is_sorted(batch.branches.begin() + batch.n_silent, batch.branches.end()));
    }
    CHECK(n_seen == lengths);
  }
}
