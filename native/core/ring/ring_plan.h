// SPDX-License-Identifier: Apache-2.0
// Which row goes to which slot of the KV ring, who sees whom, and at which positions: integers
// only, no tensors.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/ring/decoder.h"
#include "core/ring/kept_rows.h"
#include "core/ring/ring_shape.h"

namespace edgestream {

/// Where a row lies on the axes of M-RoPE: its position is the least of the three. A row of text
/// lies at its region's next position on all.
struct RowAxes {
  bool of_text = true;
  bool begins = false;  ///< a group, whose rows count from the position that this one finds
  int32_t least = 0;    ///< from there on
  std::array<int32_t, kAxes> above = {};  ///< each axis less the position
};

/// One step of `n_rows` rows. A *RoPE position* is a position less its clock's base, which moves at
/// a rebase only, so that angles stay small.
struct RingStep {
  int n_rows = 0;
  bool into_sinks = false;           ///< all rows are sinks; otherwise none is
  std::span<const RowMerge> merges;  ///< first of all, rows that become one
  bool place_keys = false;           ///< then place every key anew: RingPlan::write_key_positions()
  std::span<const int32_t> rebase_by;  ///< [n_clocks] then rotate a clock's keys by minus this
  int32_t sink_position = 0;           ///< RoPE position of sink 0 in this step; sink i is at + i
  std::span<const int64_t> slots;      ///< [n_rows] where the rows' keys and values go
  std::span<const int32_t> positions;  ///< [n_rows] RoPE position of each row on its own clock
  /// [n_clocks, n_rows] RoPE position from which each row looks at the keys of a clock. With one
  /// clock: the positions.
  std::span<const int32_t> query_positions;
  /// [n_rows] RoPE position from which each row looks at the sinks. With one clock the last row's
  /// equals its position: the sinks are placed for it.
  std::span<const int32_t> sink_query_positions;
  /// [n_rows] what to add to all positions of a row on each axis.
  std::span<const std::array<int32_t, kAxes>> above;
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

  const RingShape& shape() const { return shape_; }
  int n_regions() const { return static_cast<int>(regions_.size()); }
  int n_clocks() const { return shape_.layout == Layout::kGrouped ? n_regions() : 1; }
  /// Keys of a clock are rotated one by one, from what they were before rotation, not all by the
  /// same turn: regions that move at different speeds, and what closes up when rows leave from
  /// among others, would else be turned without end.
  bool places_keys() const { return n_clocks() < n_regions() || counts_mass(); }
  /// Who leaves depends on attention: add_mass() is to follow every take() behind the sinks.
  bool counts_mass() const { return kept_rows_.has_value(); }
  /// Physical slots: sinks, then region by region, then unused ones up to a multiple of 64.
  int n_slots() const { return n_slots_; }
  /// First slot of a clock's keys, and one past their last.
  std::pair<int, int> clock_slots(int clock) const;
  /// Rows ever taken.
  int64_t pos() const { return pos_; }

  /// Numbers of rows that a step can have, ascending: powers of two and, with several regions, one
  /// more than these.
  std::span<const int> step_sizes() const { return sizes_; }
  /// How many of `n_waiting` >= 1 rows the next step can take; not across the end of the sinks.
  int next_rows(int64_t n_waiting) const;

  /// Plans a step of rows that enter `regions` [n_rows] in this order; n_rows as next_rows() gave
  /// it. Rows before the end of the sinks are of region 0. The spans are valid until the next call.
  const RingStep& take(std::span<const int> regions) { return take(regions, {}); }
  /// The same for rows with `axes` [n_rows]; those of the sinks are of text.
  const RingStep& take(std::span<const int> regions, std::span<const RowAxes> axes);

  /// Notes how much attention the rows of the last step gave: `shares` [n_rows, n_slots], the mean
  /// of all heads.
  void add_mass(std::span<const float> shares);

  /// Position that a row of text in `region` would get.
  int64_t next_position(int region) const { return regions_[region].next; }

  /// Writes where a row of the last step sees a slot the logarithm of the number of rows that it
  /// stands for, 0 but for merged rows, and -infinity elsewhere to `mask` [n_rows, n_slots].
  void write_mask(std::span<float> mask) const;

  /// Of what write_mask() wrote, hides every slot that lies `reach` or farther from a row.
  void hide_beyond(int reach, std::span<float> mask) const;

  /// Writes the RoPE position of the key in every slot to `positions` [n_slots].
  void write_key_positions(std::span<int32_t> positions) const;
  /// [n_slots] what to add to these on each axis.
  std::span<const std::array<int32_t, kAxes>> key_axes() const { return above_; }

  /// A unit of input and what was written about it is over: see Layout. Nothing for one region.
  void begin_unit();

  /// The newest row, of `region` and without axes, was never taken; at most max_rows since they
  /// came, without a begin_unit() between. What the rows before it see was not overwritten; bases
  /// stay.
  void take_back(int region);

  /// Slots of the rows that the last row of the last step sees in a region, oldest first.
  void write_seen_slots(int region, std::vector<int>& slots) const;

  void reset();

  /// All that a plan of the same shape needs to go on from here, as numbers.
  std::vector<int64_t> numbers() const;
  /// Goes on from where numbers() was called. Throws std::invalid_argument, with nothing changed,
  /// on numbers that no plan of this shape comes to.
  void restore(std::span<const int64_t> numbers);

 private:
  struct Region {
    int window;
    int first_slot;
    int n_slots;    // window and room for the rows of a step
    int64_t taken;  // rows ever, sinks not counted
    int64_t next;   // position of the next row
    int64_t slot_of(int64_t row) const { return first_slot + row % n_slots; }
    int64_t oldest_of(int64_t n_taken) const { return n_taken > window ? n_taken - window : 0; }
  };

  int clock_of(int region) const { return n_clocks() > 1 ? region : 0; }
  bool sees(int region, int other) const {
    return shape_.layout == Layout::kOneClock || other <= region;
  }
  void rebase(std::span<const int> regions);
  void enter(int row, int region, const RowAxes& axes);
  void place(int row, int region);
  int64_t oldest_position(int region) const;
  int64_t distance(int row, int clock, int slot) const;
  void set_next(int region, int64_t next);
  void close_holes();
  void make_room();
  void rank_kept();
  void check_ranks(const KeptRows& kept, int64_t pos, std::span<const int64_t> places) const;
  void check_reach(std::span<const int64_t> of_regions, std::span<const int64_t> bases,
                   std::span<const int64_t> at) const;
  std::span<const int> kept_by(int row) const;

  RingShape shape_;
  std::vector<Region> regions_;
  std::vector<int> sizes_;
  std::optional<KeptRows> kept_rows_;  // of the only region, unless the oldest row leaves
  int n_slots_;
  int64_t pos_ = 0;
  int64_t group_position_ = 0;  // that the newest group with axes found
  std::vector<int64_t> at_;     // [n_slots] position of the row in a slot, on its clock
  std::vector<std::array<int32_t, kAxes>> above_;  // [n_slots] its axes less that
  std::vector<int64_t> bases_;                     // [n_clocks] position of RoPE position 0
  bool place_keys_ = false;               // positions of kept keys have changed since the last step
  RingStep step_;                         // the last step; its spans view the vectors below
  std::vector<int64_t> slots_;            // [max_rows]
  std::vector<int32_t> positions_;        // [max_rows]
  std::vector<int32_t> query_positions_;  // [n_clocks, n_rows]
  std::vector<int32_t> sink_query_positions_;          // [max_rows]
  std::vector<std::array<int32_t, kAxes>> row_above_;  // [max_rows]
  std::vector<int32_t> rebase_by_;                     // [n_clocks]
  std::vector<int> row_regions_;                       // [max_rows] of the last step
  std::vector<int64_t>
      row_taken_;  // [max_rows, n_regions] rows of a region when a row came, it too
  std::vector<std::pair<int64_t, int64_t>> kept_;  // position and slot, to close holes
};

}  // namespace edgestream
