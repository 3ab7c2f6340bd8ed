// SPDX-License-Identifier: Apache-2.0
// What is asked of a step about its attention.
#pragma once

#include "decoder/file/model_shape.h"
#include "decoder/graph/graph.h"

namespace edgestream {

/// Adds up the softmax weights of layers, [n_columns, n_rows * group, n_kv_heads] each, as nodes of
/// a graph.
class AttentionSums {
 public:
  AttentionSums(ggml_context* context, const ModelShape& shape, int n_rows)
      : c_(context), shape_(shape), n_rows_(n_rows) {}

  /// Of the last row, by head.
  void add_last_row(ggml_tensor* weights);
  /// Of every row, for all heads together.
  void add_all_rows(ggml_tensor* weights);
  /// Makes what was added results of the step: Graph::attention and Graph::mass.
  void finish(Graph& step);

 private:
  ggml_tensor* plus(ggml_tensor* sum, ggml_tensor* weights) const {
    return sum == nullptr ? weights : ggml_add(c_, sum, weights);
  }

  ggml_context* const c_;
  const ModelShape& shape_;
  const int n_rows_;
  ggml_tensor* last_row_ = nullptr;  // [n_columns, group, n_kv_heads]
  ggml_tensor* all_rows_ = nullptr;  // as one layer's
};

}  // namespace edgestream
