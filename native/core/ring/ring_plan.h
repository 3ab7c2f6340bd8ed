// SPDX-License-Identifier: Apache-2.0
// Step by step: which row goes to which slot of the KV ring, and from where it looks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/ring/branch_rows.h"
#include "core/ring/ring_rows.h"

namespace edgestream {

/// One step of `n_rows` rows; what it says is valid until the next one is planned.
struct RingStep {
  int n_rows = 0;
  bool into_sinks = false;           ///< all rows are attention sinks; otherwise none is
  std::span<const RowMerge> merges;  ///< first of all, rows that become one
  bool place_keys = false;           ///< then place every key anew: RingPlan::write_key_positions()
  std::span<const int32_t> rebase_by;  ///< [n_clocks] then rotate a clock's keys by minus this
  int32_t sink_position = 0;  ///< RoPE position of attention sink 0 in this step; sink i is at + i
  std::span<const int64_t> slots;      ///< [n_rows] where the rows' keys and values go
  std::span<const int32_t> positions;  ///< [n_rows] RoPE position of each row on its own clock
  /// [n_clocks, n_rows] RoPE position from which each row looks at the keys of a clock. With one
  /// clock: the positions.
  std::span<const int32_t> query_positions;
  /// [n_rows] RoPE position from which each row looks at the attention sinks. With one clock the
  /// last row's equals its position: the sinks are placed for it.
  std::span<const int32_t> sink_query_positions;
  /// [n_regions] what attention reads of each region.
  std::span<const SlotSpan> reads;
  int n_columns = 0;  ///< slots that it reads of all regions together
  /// [n_rows] what to add to all positions of a row on each axis.
  std::span<const std::array<int32_t, kAxes>> above;
  std::span<const BranchRow> branches;  ///< [n_rows] where rows of branches lie; empty: none are
  std::span<const int> regions;         ///< [n_rows]
  std::span<const int64_t> taken;       ///< [n_rows, n_regions] rows when a row came, it too
};

/// Attention sinks and sliding windows in a ring of fixed slots (Xiao et al. 2023, "Efficient
/// Streaming Language Models with Attention Sinks"), with exact distances. A row's *oldest* is the
/// least position that it sees on its clock, sinks aside; it lies n_sinks behind sink 0 (`gap`
/// behind, in a later region of kGrouped). So with one region row p sees row a of the window at
/// distance p - a, and sink i at distance min(p - i, n_sinks + window - 1 - i), as if the sinks lay
/// directly before the window.
///
/// This holds for every row of a step, so the result does not depend on how a stream is cut into
/// steps; each region has max_rows - 1 slots more than its window for that (max_rows where there
/// are others).
///
/// With another retention than kWindow rows leave `evict_rows` at a time, when `window` rows are
/// kept and one more comes: a row sees the kept rows before it, itself and the sinks, as if no
/// others had ever been. Which leave depends on how much attention rows gave them; see KeptRows.
/// Steps end where rows leave, so that this does not depend on the cutting either.
///
/// Allocates nothing after construction. A copy goes on by itself. Not thread-safe.
class RingPlan {
 public:
  /// Throws std::invalid_argument, naming the number and its range, on a shape out of range.
  explicit RingPlan(RingShape shape);

  const RingRows& rows() const { return rows_; }
  const RingShape& shape() const { return rows_.shape; }
  int n_regions() const { return rows_.n_regions(); }
  int n_clocks() const { return rows_.n_clocks(); }
  /// First slot of a clock's keys, and one past their last.
  std::pair<int, int> clock_slots(int clock) const { return rows_.clock_slots(clock); }
  /// Physical slots: attention sinks, region by region, each up to a multiple of 64.
  int n_slots() const { return rows_.n_slots; }
  /// Rows ever taken.
  int64_t pos() const { return rows_.pos; }
  /// Keys of a clock are rotated one by one, from what they were before rotation, not all by the
  /// same turn: regions that move at different speeds, and what closes up when rows leave from
  /// among others, would else be turned without end.
  bool places_keys() const { return n_clocks() < n_regions() || counts_mass(); }
  /// Who leaves depends on attention: add_mass() is to follow every take() behind the sinks.
  bool counts_mass() const { return rows_.kept.has_value(); }

  /// Numbers of rows that a step can have, ascending: powers of two and, with several regions, one
  /// more than these.
  std::span<const int> step_sizes() const { return sizes_; }
  /// How many of `n_waiting` >= 1 rows the next step can take; not across the end of the sinks.
  int next_rows(int64_t n_waiting) const;

  /// Plans a step of rows that enter `regions` [n_rows] in this order, with `axes` [n_rows] or as
  /// text; n_rows as next_rows() gave it. Attention sinks are text of region 0.
  const RingStep& take(std::span<const int> regions, std::span<const RowAxes> axes = {});

  /// Plans a step of rows of branches, all of text in one region behind the same past, that do not
  /// count: take() must not come before drop_branches(). Their slots, max_rows from the newest row
  /// on, hold nothing that the next row sees. There must be all sinks, and no retention but
  /// kWindow. Never rebases.
  const RingStep& take_branches(int region, std::span<const BranchRow> rows);
  /// The rows of branches were never taken.
  void drop_branches();

  /// Notes how much attention the rows of the last step gave: `shares` [n_rows, n_columns], the
  /// mean of all heads.
  void add_mass(std::span<const float> shares);

  /// Writes the RoPE position of the key in every slot to `positions` [n_slots].
  void write_key_positions(std::span<int32_t> positions) const;

  /// A unit of input and what was written about it is over: see Layout. Nothing for one region.
  void begin_unit() { rows_.begin_unit(); }

  /// The newest row, of `region` and without axes, was never taken; at most max_rows since they
  /// came, without a begin_unit() between. What the rows before it see was not overwritten; bases
  /// stay.
  void take_back(int region) { rows_.take_back(region); }

  void reset();

  /// Goes on from `rows` of the same shape.
  void restore(RingRows rows);

 private:
  void rebase(std::span<const int> regions);
  void enter(int row, int region, const RowAxes& axes);
  void place(int row, int region);
  const RingStep& placed(size_t n_rows);

  // The newest row that counts, while there are branches behind it.
  struct Mark {
    int region;
    int64_t taken, next, pos;
  };
  void find_reads();

  RingRows rows_;
  std::vector<int> sizes_;
  RingStep step_;                              // the last step; its spans view the vectors below
  std::vector<int64_t> slots_;                 // [max_rows]
  std::vector<int32_t> positions_;             // [max_rows]
  std::vector<int32_t> query_positions_;       // [n_clocks, n_rows]
  std::vector<int32_t> sink_query_positions_;  // [max_rows]
  std::vector<std::array<int32_t, kAxes>> row_above_;  // [max_rows]
  std::vector<int32_t> rebase_by_;                     // [n_clocks]
  std::vector<SlotSpan> reads_;                        // [n_regions]
  std::vector<int> row_regions_;                       // [max_rows]
  std::vector<int64_t> row_taken_;                     // [max_rows, n_regions]
  std::vector<BranchRow> branch_rows_;                 // [max_rows]
  std::optional<Mark> mark_;
};

}  // namespace edgestream
