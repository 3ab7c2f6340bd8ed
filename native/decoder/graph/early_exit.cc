// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/early_exit.h"

#include <algorithm>

namespace edgestream {

EarlyExit::EarlyExit(int n_vocab, int max_rows, float threshold)
    : n_vocab_(n_vocab),
      threshold_(threshold),
      logits_(n_vocab_ * max_rows),
      probabilities_(n_vocab_ * max_rows),
      sources_(max_rows) {}

void EarlyExit::decide(const Graph& front) {
  n_rows_ = static_cast<int>(front.logits->ne[1]);
  ggml_backend_tensor_get(front.logits, logits_.data(), 0, ggml_nbytes(front.logits));
  ggml_backend_tensor_get(front.probabilities, probabilities_.data(), 0,
                          ggml_nbytes(front.probabilities));
  n_exits_ = 0;
  for (int row = 0; row < n_rows_; ++row) {
    const auto of_row = std::span(probabilities_).subspan(row * n_vocab_, n_vocab_);
    const bool exits = std::ranges::max(of_row) >= threshold_;
    sources_[row] = exits ? n_rows_ + row : row;
    n_exits_ += exits ? 1 : 0;
  }
}

}  // namespace edgestream
