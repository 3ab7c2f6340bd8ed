// SPDX-License-Identifier: Apache-2.0
// Whom the last row that gave logits attended to.
#pragma once

#include <span>
#include <vector>

#include "core/ring/ring_plan.h"
#include "decoder/graph/graph.h"

namespace edgestream {

/// Attention of one row over the kept rows, region by region: the mean over `n_layers` captured
/// layers and their heads. Allocates nothing after construction.
class CapturedAttention {
 public:
  /// Of no layer: nothing is ever read.
  CapturedAttention(const RingPlan& plan, int n_heads, int n_layers);

  /// Takes over what a graph captured for `step`, the last over `rows`.
  void read(const Graph& graph, const RingRows& rows, const RingStep& step);
  /// Weights of a region's seen rows, oldest first.
  std::span<const float> of_region(int region) const { return regions_[region]; }
  void clear();

 private:
  const size_t n_heads_;
  const float share_;                        // of one head in the mean
  std::vector<float> head_weights_;          // [n_heads, n_columns]
  std::vector<int> seen_columns_;            // of a region
  std::vector<std::vector<float>> regions_;  // [n_regions] of seen rows
};

}  // namespace edgestream
