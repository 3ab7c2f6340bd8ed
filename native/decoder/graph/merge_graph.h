// SPDX-License-Identifier: Apache-2.0
// Kept rows that become one: the mean of their keys, before rotation, and of their values.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "core/ring/kept_rows.h"
#include "decoder/graph/graph.h"
#include "decoder/ring/kv_ring.h"

namespace edgestream {

/// Which rows become one, on the device.
class MergeInputs {
 public:
  /// Throws std::invalid_argument when the ring has more values in a layer than can be counted.
  MergeInputs(const GgufModel& model, const RingPlan& plan, const KvRing& ring);

  /// Sends which rows are merged: evict_rows pairs.
  void send(std::span<const RowMerge> merges);

  /// Memory on the device.
  size_t n_bytes() const { return ggml_backend_buffer_get_size(buffer_.get()); }

  // Of the older rows of all pairs, then of the newer ones.
  std::array<ggml_tensor*, 2> slots;   // [n_merges] i32
  std::array<ggml_tensor*, 2> shares;  // [1, n_merges] of the mean
  std::array<ggml_tensor*, 2> cells;   // [kv_width * n_merges] i32, of values; null: in rows
  ggml_tensor* to_slots;               // [n_merges] i64
  ggml_tensor* to_cells;               // [kv_width * n_merges] i64; null: values are in rows

 private:
  template <typename T>
  const std::vector<T>& cells_of(const std::vector<T>& slots, std::vector<T>& cells) const;

  const int64_t n_slots_;
  const int64_t kv_width_;
  ContextHandle context_;
  BufferHandle buffer_;
  std::vector<int32_t> slots_;  // [n_merges]
  std::vector<int64_t> to_slots_;
  std::vector<float> shares_;
  std::vector<int32_t> cells_;  // [n_merges, kv_width]
  std::vector<int64_t> to_cells_;
};

/// Writes the means of a plan's merges; the rows that they are of stay as they are.
Graph build_merge_graph(const GgufModel& model, const KvRing& ring, const MergeInputs& inputs);

}  // namespace edgestream
