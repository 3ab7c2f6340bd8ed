// SPDX-License-Identifier: Apache-2.0
// Which row goes to which slot of the KV ring, who sees whom, and when positions are rebased:
// integers only, no tensors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace edgestream {

/// What a ring keeps: the first `n_sinks` rows for ever, and a window of the newest rows.
struct RingShape {
  int n_sinks = 0;      ///< >= 0
  int window = 0;       ///< keys that a row sees besides the sinks, itself included; >= 1
  int max_rows = 1;     ///< most rows in one step; a power of two
  int rebase_rows = 0;  ///< rows between two rebases; >= window + max_rows, or 0 for the default
};

/// One step of `n_rows` rows. A *RoPE position* is relative to the ring: it differs from the
/// absolute position by a number that changes at a rebase only, so that angles stay small.
struct RingStep {
  int n_rows = 0;
  bool into_sinks = false;    ///< all rows are sinks; otherwise none is
  int32_t rebase_by = 0;      ///< first rotate every key of the window by -rebase_by; 0: do not
  int32_t sink_position = 0;  ///< RoPE position of sink 0 in this step; sink i is at + i
  std::span<const int64_t> slots;      ///< [n_rows] where the rows' keys and values go
  std::span<const int32_t> positions;  ///< [n_rows] RoPE position of each row
  /// [n_rows] RoPE position from which each row looks at the sinks. The last row's equals its
  /// position: the sinks are placed for it.
  std::span<const int32_t> sink_query_positions;
};

/// Attention sinks and a sliding window in a ring of fixed slots (Xiao et al. 2023, "Efficient
/// Streaming Language Models with Attention Sinks"), with exact distances: row p sees row a of the
/// window at distance p - a, and sink i at distance min(p - i, n_sinks + window - 1 - i), as if the
/// sinks lay directly before the window. This holds for every row of a step, so the result does
/// not depend on how a stream is cut into steps; the ring has max_rows - 1 slots more than the
/// window for that.
///
/// Allocates nothing after construction. A copy goes on by itself. Not thread-safe.
class RingPlan {
 public:
  /// Throws std::invalid_argument, naming the number and its range, on a shape out of range.
  explicit RingPlan(RingShape shape);

  const RingShape& shape() const { return shape_; }
  /// Physical slots: sinks first, then the ring, then unused ones up to a multiple of 64.
  int n_slots() const { return n_slots_; }
  /// Absolute position of the next row.
  int64_t pos() const { return pos_; }

  /// How many of `n_waiting` >= 1 rows the next step can take: a power of two, at most max_rows,
  /// not across the end of the sinks.
  int next_rows(int64_t n_waiting) const;

  /// Plans a step of n_rows as next_rows() gave it. The spans are valid until the next call.
  const RingStep& take(int n_rows);

  /// Writes 0 where a row of the last step sees a slot and -infinity elsewhere to
  /// `mask` [n_rows, n_slots].
  void write_mask(std::span<float> mask) const;

  /// Takes the last `n_rows` rows back, at most max_rows since they came: the next row is the first
  /// of them again. What the rows before them see was not overwritten; where RoPE position 0 lies
  /// stays as it is.
  void take_back(int n_rows) { pos_ -= n_rows; }

  void reset();

 private:
  int64_t slot_of(int64_t pos) const;
  int32_t rebase_before(int64_t first, int64_t last);

  RingShape shape_;
  int ring_slots_;  // window + max_rows - 1
  int n_slots_;
  int64_t far_;       // n_sinks + window - 1: RoPE position of a row after which sinks move
  int64_t pos_ = 0;   // absolute position of the next row
  int64_t base_ = 0;  // absolute position of RoPE position 0
  RingStep step_;     // the last step; its spans view the three vectors
  std::vector<int64_t> slots_;                 // [max_rows]
  std::vector<int32_t> positions_;             // [max_rows]
  std::vector<int32_t> sink_query_positions_;  // [max_rows]
};

}  // namespace edgestream
