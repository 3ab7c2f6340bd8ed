// SPDX-License-Identifier: Apache-2.0
// A graph that reads as many slots as are in use, without being built anew.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/ring/ring_rows.h"
#include "decoder/device/ggml_handles.h"

namespace edgestream {

/// How the tensors of a graph change when a step reads other slots of a region: each size, stride
/// and offset is a sum of multiples of the blocks that are read of each region. What these
/// multiples are is learned from two graphs that differ by one block, so no operation has to be
/// known here. A graph that is laid out for all slots has room for fewer. Allocates nothing after
/// the last learn().
class SlotShapes {
 public:
  SlotShapes() = default;
  /// Of a graph that reads `reads`.
  explicit SlotShapes(std::span<const SlotSpan> reads);

  /// `shorter` describes the tensors of `graph` where one block less of `region` is read. Throws
  /// std::logic_error when these are not the same tensors.
  void learn(ggml_context* graph, ggml_context* shorter, int region);

  /// From now on the graph reads `reads`: of each region from the same slot, never more blocks than
  /// it was laid out for.
  void set(std::span<const SlotSpan> reads);

 private:
  // Sizes and strides of a tensor, and where it begins in what it is a view of.
  using Numbers = std::array<int64_t, 2 * GGML_MAX_DIMS + 1>;
  struct Change {
    ggml_tensor* tensor;
    Numbers per_block;
  };
  static Numbers numbers_of(const ggml_tensor& tensor);
  static void add(const Change& change, int64_t n_blocks);

  std::vector<int> blocks_;                   // [n_regions] that are read now
  std::vector<std::vector<Change>> changes_;  // [n_regions] of the tensors that depend on a region
};

}  // namespace edgestream
