// SPDX-License-Identifier: Apache-2.0
// What a step gives, from the device.
#pragma once

#include <span>
#include <vector>

#include "core/ring/ring_plan.h"
#include "decoder/file/model_shape.h"
#include "decoder/graph/early_exit.h"

namespace edgestream {

/// Logits of a step's rows, run by run, and the attention that they gave. What is read throws
/// std::runtime_error when it is not finite. Allocates only when a step of more than max_rows rows
/// first wants the logits of all.
class StepResults {
 public:
  StepResults(const ModelShape& model, const RingPlan& plan);

  /// A step begins.
  void clear() { n_logits_ = 0; }
  void read_logits(const Graph& graph);
  /// Of a run's rows from `first` on: those of the last layer, or of the exit.
  void read_logits_or_exits(const Graph& rest, const EarlyExit& exit, int first);
  /// Of the step so far, [rows that got some, n_vocab].
  std::span<const float> logits() const { return std::span(logits_).first(n_logits_); }

  /// Attention [rows, n_columns] that the rows of a run gave, the mean of all layers and heads.
  std::span<const float> read_mass(const Graph& graph);

 private:
  std::span<float> next_logits(size_t n);

  const float n_softmaxes_;
  std::vector<float> logits_;
  size_t n_logits_ = 0;      // numbers in logits_ that are of this step
  std::vector<float> mass_;  // [max_rows, n_columns]
};

}  // namespace edgestream
