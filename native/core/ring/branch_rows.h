// SPDX-License-Identifier: Apache-2.0
// Rows of branches: continuations of one past that do not see each other.
#pragma once

#include <span>
#include <vector>

namespace edgestream {

/// Where a row of a branch lies. All branches begin with the rows of a trunk, which may be none.
struct BranchRow {
  int depth = 0;  ///< rows of the trunk and of its branch that came before it
  int n_own = 0;  ///< rows of its branch up to this one; 0: it is the trunk's
  int shift = 0;  ///< slots by which these lie further on than if they came behind the trunk
};

/// Which rows of branches get logits.
enum class BranchLogits {
  kLastRows,  ///< the last row of each branch
  kEveryRow,  ///< the trunk's last row and every row of the branches
};

/// Rows of branches in the order in which they are computed, and where they come from.
struct BranchBatch {
  std::vector<BranchRow> rows;
  std::vector<int> branches;  ///< [rows] index of the branch; -1: the trunk
  int n_silent = 0;           ///< rows without logits, which come first
};

/// Batches for a trunk of `n_trunk` rows and branches of `n_rows` rows each, none empty, so that
/// trunk and branches of a batch lie in `max_rows` slots. The trunk is computed with the first one.
/// There must be room for the trunk and any one branch.
std::vector<BranchBatch> branch_batches(int n_trunk, std::span<const int> n_rows, int max_rows,
                                        BranchLogits wanted);

}  // namespace edgestream
