// SPDX-License-Identifier: Apache-2.0
// Which rows of a step leave the model before its last layers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "decoder/graph/graph.h"

namespace edgestream {

/// Early exit as in CALM (Schuster et al. 2022, "Confident Adaptive Language Modeling"): a row
/// whose likeliest token has at least probability `threshold` by the output layer alone, straight
/// after `exit_layer` layers, goes no further. Each row decides by itself, whether its logits are
/// wanted or not, so what exits does not depend on how a stream is cut into steps. Allocates
/// nothing after construction.
class EarlyExit {
 public:
  EarlyExit(int n_vocab, int max_rows, float threshold);

  /// Decides for the rows of a step by its front, which was computed just before.
  void decide(const Graph& front);

  int n_rows() const { return n_rows_; }  ///< of the step
  int n_exits() const { return n_exits_; }
  bool exits(int row) const { return sources_[row] >= n_rows_; }
  /// Logits [n_vocab] of a row after `exit_layer` layers.
  std::span<const float> logits(int row) const {
    return std::span(logits_).subspan(row * n_vocab_, n_vocab_);
  }
  /// [n_rows] for StepInputs::send_sources().
  std::span<const int32_t> sources() const { return std::span(sources_).first(n_rows_); }

 private:
  const size_t n_vocab_;
  const float threshold_;
  int n_rows_ = 0;
  int n_exits_ = 0;
  std::vector<float> logits_;         // [max_rows, n_vocab]
  std::vector<float> probabilities_;  // [max_rows, n_vocab]
  std::vector<int32_t> sources_;      // [max_rows]
};

}  // namespace edgestream
