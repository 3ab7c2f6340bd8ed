// SPDX-License-Identifier: Apache-2.0
#include "core/ring/branch_rows.h"

#include <utility>

namespace edgestream {

namespace {

// Rows as they follow each other; those without logits are moved to the front.
class Batch {
 public:
  void add(int branch, const BranchRow& row, bool silent) {
    BranchBatch& part = silent ? silent_ : speaking_;
    part.rows.push_back(row);
    part.branches.push_back(branch);
  }

  BranchBatch release() && {
    BranchBatch all = std::move(silent_);
    all.n_silent = static_cast<int>(all.rows.size());
    all.rows.insert(all.rows.end(), speaking_.rows.begin(), speaking_.rows.end());
    all.branches.insert(all.branches.end(), speaking_.branches.begin(), speaking_.branches.end());
    return all;
  }

 private:
  BranchBatch silent_, speaking_;
};

}  // namespace

std::vector<BranchBatch> branch_batches(int n_trunk, std::span<const int> n_rows, int max_rows,
                                        BranchLogits wanted) {
  const bool every = wanted == BranchLogits::kEveryRow;
  std::vector<BranchBatch> batches;
  for (size_t branch = 0; branch < n_rows.size();) {
    Batch batch;
    for (int depth = 0; branch == 0 && depth < n_trunk; ++depth) {
      batch.add(-1, {.depth = depth}, !every || depth + 1 < n_trunk);
    }
    for (int shift = 0; branch < n_rows.size() && n_trunk + shift + n_rows[branch] <= max_rows;
         shift += n_rows[branch++]) {
      for (int row = 0; row < n_rows[branch]; ++row) {
        batch.add(static_cast<int>(branch),
                  {.depth = n_trunk + row, .n_own = row + 1, .shift = shift},
                  !every && row + 1 < n_rows[branch]);
      }
    }
    batches.push_back(std::move(batch).release());
  }
  return batches;
}

}  // namespace edgestream
