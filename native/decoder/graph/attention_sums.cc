// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/attention_sums.h"

namespace edgestream {

void AttentionSums::add_last_row(ggml_tensor* weights) {
  ggml_tensor* const last =
      ggml_view_3d(c_, weights, weights->ne[0], shape_.heads_per_kv_head(), shape_.n_kv_heads,
                   n_rows_ * weights->nb[1], weights->nb[2], (n_rows_ - 1) * weights->nb[1]);
  last_row_ = plus(last_row_, last);
}

void AttentionSums::add_all_rows(ggml_tensor* weights) { all_rows_ = plus(all_rows_, weights); }

// To add up heads costs less after layers than in each.
void AttentionSums::finish(Graph& step) {
  const auto give = [&](ggml_tensor* node) {
    ggml_set_output(node);
    step.run(node);
    return node;
  };
  if (all_rows_ != nullptr) {
    const int64_t n_columns = all_rows_->ne[0];
    ggml_tensor* const by_head = ggml_reshape_4d(c_, all_rows_, n_columns, n_rows_,
                                                 shape_.heads_per_kv_head(), shape_.n_kv_heads);
    ggml_tensor* const of_rows = ggml_new_tensor_2d(c_, GGML_TYPE_F32, n_columns, n_rows_);
    step.mass = give(ggml_repeat_back(c_, by_head, of_rows));
  }
  if (last_row_ != nullptr) {
    step.attention = give(ggml_cont_2d(c_, last_row_, last_row_->ne[0], shape_.n_heads));
  }
}

}  // namespace edgestream
