// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/captured_attention.h"

#include <algorithm>

#include "core/ring/ring_mask.h"

namespace edgestream {

CapturedAttention::CapturedAttention(const RingPlan& plan, int n_heads, int n_layers)
    : n_heads_(n_heads),
      share_(1.F / static_cast<float>(n_heads * std::max(n_layers, 1))),
      regions_(plan.n_regions()) {
  if (n_layers == 0) return;
  head_weights_.resize(n_heads_ * plan.n_slots());
  int greatest = 0;
  for (const RegionShape& region : plan.shape().regions) {
    greatest = std::max(greatest, region.window);
  }
  seen_columns_.reserve(greatest);
  for (std::vector<float>& region : regions_) region.reserve(greatest);
}

void CapturedAttention::read(const Graph& graph, const RingRows& rows, const RingStep& step) {
  ggml_backend_tensor_get(graph.attention, head_weights_.data(), 0, ggml_nbytes(graph.attention));
  const auto n_columns = static_cast<size_t>(step.n_columns);
  for (int region = 0; region < rows.n_regions(); ++region) {
    write_seen_columns(rows, step, region, seen_columns_);
    regions_[region].clear();
    for (const int column : seen_columns_) {
      float sum = 0.F;
      for (size_t head = 0; head < n_heads_; ++head) {
        sum += head_weights_[head * n_columns + column];
      }
      regions_[region].push_back(sum * share_);
    }
  }
}

void CapturedAttention::clear() {
  for (std::vector<float>& region : regions_) region.clear();
}

}  // namespace edgestream
