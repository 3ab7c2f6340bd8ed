// SPDX-License-Identifier: Apache-2.0
// Which rows a ring keeps: in which slots, and at which positions. Integers only, no tensors.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
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

/// The newest rows of a region, in a circle of slots.
struct RingRegion {
  int window;
  int first_slot;
  int n_slots;        ///< window and room for the rows of a step
  int64_t taken = 0;  ///< rows ever, attention sinks not counted
  int64_t next = 0;   ///< position of the next row
  /// Rows from this one on are a branch's and lie so many slots further on; see take_branches().
  int64_t branch_from = std::numeric_limits<int64_t>::max();
  int64_t branch_shift = 0;
  int64_t slot_of(int64_t row) const {
    return first_slot + (row < branch_from ? row : row + branch_shift) % n_slots;
  }
  int64_t oldest_of(int64_t n_taken) const { return n_taken > window ? n_taken - window : 0; }
};

/// Slots of a region that attention reads, and the column from which their scores stand among those
/// of all regions. The sinks are the first slots of region 0. In a young stream most slots were
/// never written, and those are not read.
struct SlotSpan {
  int first_slot = 0;
  int first_column = 0;
  int n = 0;  ///< a multiple of kSlotBlock
};

/// ggml sums 64 products at a time (AVX-512); a partial block would be summed in another order. So
/// a sum over more blocks whose weights are 0 is the same to the bit.
inline constexpr int kSlotBlock = 64;

/// The attention sinks and the newest rows of each region, as they lie between two steps. A *RoPE
/// position* is a position less its clock's base, which moves at a rebase only, so that angles stay
/// small. Allocates nothing after construction.
struct RingRows {
  /// Throws std::invalid_argument, naming the number and its range, on a shape out of range.
  explicit RingRows(RingShape unchecked);

  int n_regions() const { return static_cast<int>(regions.size()); }
  int n_clocks() const { return shape.layout == Layout::kGrouped ? n_regions() : 1; }
  int clock_of(int region) const { return n_clocks() > 1 ? region : 0; }
  /// First slot of a clock's keys, and one past their last.
  std::pair<int, int> clock_slots(int clock) const;
  bool sees(int region, int other) const {
    return shape.layout == Layout::kOneClock || other <= region;
  }
  /// All slots of a region, those of the sinks and unused ones up to whole blocks included.
  SlotSpan all_slots(int region) const;
  /// Of these the blocks that have been written.
  int n_slots_in_use(int region) const;
  /// Least position that a new row of the region sees on its clock, beside the attention sinks.
  int64_t oldest_position(int region) const;

  /// A row comes, counts from now on, and gets the slot that is returned.
  int64_t enter(int region, const RowAxes& axes);
  /// The newest row, of `region`, was never taken.
  void take_back(int region);
  /// As if `taken` rows of the region had come and the next lay at `next`.
  void go_to(int region, int64_t taken, int64_t next);
  /// Lets rows leave, where attention decides which; there is no room.
  std::span<const RowMerge> make_room();
  void begin_unit();
  void reset();

  RingShape shape;
  std::vector<RingRegion> regions;
  std::optional<KeptRows> kept;  ///< of the only region, unless the oldest row leaves
  int n_slots;                   ///< attention sinks, region by region, each up to whole blocks
  int64_t pos = 0;               ///< rows ever
  std::vector<int64_t> at;       ///< [n_slots] position of the row in a slot, on its clock
  std::vector<std::array<int32_t, kAxes>> above;  ///< [n_slots] its axes less that
  std::vector<int64_t> bases;                     ///< [n_clocks] position of RoPE position 0
  bool moved = false;  ///< positions of kept keys have changed since the last step

 private:
  void set_next(int region, int64_t next);
  void close_holes();
  void rank_kept();

  int64_t group_position_ = 0;                            // that the newest group with axes found
  std::vector<std::pair<int64_t, int64_t>> by_position_;  // position and slot, to close holes
};

}  // namespace edgestream
