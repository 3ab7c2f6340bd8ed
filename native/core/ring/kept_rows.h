// SPDX-License-Identifier: Apache-2.0
// Which rows stay where not the oldest leaves but the one that is attended to least: integers only.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/ring/ring_shape.h"

namespace edgestream {

/// Two kept rows that become one, in a slot that was free.
struct RowMerge {
  std::array<int, 2> from = {};         ///< slots, the older row first
  std::array<int32_t, 2> weights = {};  ///< rows that each stands for
  int to = 0;                           ///< slot
};

/// The kept rows of a ring whose retention is kHeavyHitter or kMerge, beside its attention sinks.
///
/// Attention mass is what the rows so far gave each kept row, shares that add up to one for each
/// row that looks; at every eviction the share evict_rows / window of it is
/// forgotten. When `window` rows are kept,
/// room is made for `evict_rows`. With kHeavyHitter the rows of least mass leave (H2O, Zhang et
/// al. 2023). With kMerge those of least mass together, of neighbours in the stream, become one:
/// their mean by the number of rows they stand for, up to four, which is a weight that the merged
/// row keeps. The newest `recent` rows take part in neither; of equals the older one goes.
///
/// A slot that was kept is free as the last one, so what max_rows rows and the eviction between
/// them changed can be taken back: nothing of it was written over.
///
/// Allocates nothing after construction. A copy goes on by itself. Not thread-safe.
class KeptRows {
 public:
  /// Of a checked shape, in the slots from `first_slot` on.
  KeptRows(const RingShape& shape, int first_slot);

  /// Slots that the rows of such a shape need.
  static int n_slots(const RingShape& shape);

  /// Slots of the kept rows, oldest first.
  std::span<const int> slots() const { return now_.kept; }
  /// Rows that can enter before some must leave.
  int room() const { return window_ - static_cast<int>(now_.kept.size()); }
  /// Logarithm of the rows that the row in a slot stands for.
  float log_weight(int slot) const { return now_.log_weight[slot - first_slot_]; }

  /// Lets rows leave, when there is no room. What is to be merged is valid until the next call.
  std::span<const RowMerge> make_room();
  /// A new row comes and gets the slot that is returned; there is room.
  int enter();
  /// Adds what `row`, counted from the start, gave the kept rows: `shares` [slots of the ring].
  void add_mass(int64_t row, std::span<const float> shares);
  /// The newest row, `row` counted from the start, was never taken. Returns whether rows that had
  /// left for it are back.
  bool take_back(int64_t row);

  void reset();

  /// All that is needed to go on from here.
  void append_numbers(std::vector<int64_t>& numbers) const;
  /// How many numbers that are.
  size_t n_numbers() const { return 1 + 3 * now_.mass.size(); }
  /// Goes on from numbers that are not negative. Throws std::invalid_argument, with nothing
  /// changed, on those that no rows come to.
  void restore(std::span<const int64_t> numbers);

 private:
  struct State {
    std::vector<int> kept;  // slots, oldest first
    std::vector<int> free;  // [n_slots] slots in turn, a circle
    int first_free = 0;     // where the circle begins
    int n_free = 0;
    std::vector<int64_t> mass;      // [n_slots] in units of kMassUnit
    std::vector<int32_t> weight;    // [n_slots] rows that a row stands for
    std::vector<float> log_weight;  // [n_slots]
  };

  int at(int slot) const { return slot - first_slot_; }
  int take_free();
  void give_free(int slot);
  void drop_least();
  void merge_least();
  int merged(size_t rank);
  void set_weight(int slot, int32_t weight);

  Retention retention_;
  int first_slot_;
  int window_;
  int recent_;
  int evict_rows_;
  int max_rows_;
  State now_;
  State before_;                  // the newest eviction; nothing kept: there was none
  std::vector<int32_t> given_;    // [max_rows, n_slots] mass that the newest rows gave
  std::vector<int> order_;        // ranks of kept rows, to choose from
  std::vector<char> taken_;       // [window] by rank: is to leave, or is merged
  std::vector<RowMerge> merges_;  // of the newest eviction
};

}  // namespace edgestream
