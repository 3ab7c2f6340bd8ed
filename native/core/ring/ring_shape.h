// SPDX-License-Identifier: Apache-2.0
// What a ring keeps, and who sees whom from where.
#pragma once

#include <string>
#include <vector>

namespace edgestream {

/// A part of the memory that keeps its own newest rows.
struct RegionShape {
  std::string name = "stream";
  int window = 0;  ///< rows of the region that a row sees, itself included; >= 1
};

/// How rows of several regions are placed, and who sees whom. A *position* is a place on a *clock*:
/// rows on one clock are as far from each other as their positions say.
enum class Layout {
  /// One clock for all, every row sees every region. What leaves one region leaves a hole between
  /// rows of the others; begin_unit() closes the holes (StreamingVLM, Xu et al. 2025).
  kOneClock,
  /// Each region has a clock of its own and sees itself and the regions before it. The kept rows of
  /// the first region lie behind the attention sinks, those of the others from `gap` on: 0 is
  /// "group", a
  /// large number is "gap" (group position encoding, Tong et al. 2025; Speak-While-Watching).
  kGrouped,
  /// Sees as kGrouped, on one clock: the regions count on side by side, and begin_unit() lets all
  /// go
  /// on from the greatest next position ("overlap" of Speak-While-Watching).
  kOverlap,
};

/// Which rows of a full window leave.
enum class Retention {
  /// The oldest, one for each row that comes.
  kWindow,
  /// Those that were attended to least, the newest protected (H2O, Zhang et al. 2023).
  kHeavyHitter,
  /// Neighbours that were attended to least become one row that stands for both.
  kMerge,
};

/// What a ring keeps: the first `n_sinks` rows for ever, which enter region 0, and windows of the
/// newest rows.
struct RingShape {
  int n_sinks = 0;                        ///< >= 0
  std::vector<RegionShape> regions = {};  ///< one or more
  int max_rows = 1;                       ///< most rows in one step; a power of two
  int rebase_rows = 0;  ///< positions between two rebases; >= all windows + max_rows, or 0: default
  Layout layout = Layout::kOneClock;
  int gap = 0;  ///< kGrouped: position of the oldest kept row of a region after the first; >= 0
  /// Others than kWindow are for one region and decide for all layers and heads at once.
  Retention retention = Retention::kWindow;
  int recent = 0;      ///< newest rows that do not leave; 1 to window, or 0: half of the window
  int evict_rows = 0;  ///< rows that leave together; >= max_rows, or 0: default
};

/// Rows of all regions together.
int all_windows(const RingShape& shape);

/// The shape in words, for messages.
std::string describe(const RingShape& shape);

/// The shape with defaults filled in. Throws std::invalid_argument, naming the number and its
/// range, on one out of range.
RingShape checked(RingShape shape);

}  // namespace edgestream
