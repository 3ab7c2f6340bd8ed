// SPDX-License-Identifier: Apache-2.0
#include "core/ring/branch_rows.h"

#include <numeric>

namespace edgestream {

namespace {

void add(BranchBatch& batch, int branch, const BranchRow& row) {
  batch.rows.push_back(row);
  batch.branches.push_back(branch);
}

}  // namespace

std::vector<BranchBatch> branch_batches(int n_trunk, std::span<const int> n_rows, int max_rows) {
  std::vector<BranchBatch> batches;
  const int n_branches = static_cast<int>(n_rows.size());
  for (int begin = 0; begin < n_branches;) {
    int end = begin, n_slots = n_trunk;
    while (end < n_branches && n_slots + n_rows[end] <= max_rows) n_slots += n_rows[end++];
    BranchBatch& batch = batches.emplace_back();
    for (int depth = 0; begin == 0 && depth < n_trunk; ++depth) add(batch, -1, {.depth = depth});
    for (const bool last : {false, true}) {
      if (last) batch.n_first = static_cast<int>(batch.rows.size());
      for (int branch = begin, shift = 0; branch < end; shift += n_rows[branch++]) {
        for (int row = last ? n_rows[branch] - 1 : 0; row < n_rows[branch] - (last ? 0 : 1);
             ++row) {
          add(batch, branch, {.depth = n_trunk + row, .n_own = row + 1, .shift = shift});
        }
      }
    }
    begin = end;
  }
  return batches;
}

}  // namespace edgestream
