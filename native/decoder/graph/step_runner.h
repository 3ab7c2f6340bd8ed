// SPDX-License-Identifier: Apache-2.0
// The steps of a stream, computed on the device as its plan says.
#pragma once

#include <memory>
#include <optional>

#include "decoder/graph/captured_attention.h"
#include "decoder/graph/ring_graphs.h"
#include "decoder/graph/step_results.h"

namespace edgestream {

/// A stream's ring of keys and values and every graph over it, all made at construction.
class StepRunner {
 public:
  /// `model` must outlive the runner. Throws as RingDecoder does.
  StepRunner(const GgufModel& model, const RingPlan& plan, const RingDecoderConfig& config);

  /// Sends `rows` [n, row_width] as the next run's rows from `first` on.
  void send_rows(int first, std::span<const float> rows) { inputs_.send_rows(first, rows); }

  /// Takes the rows that were sent into `regions` at `axes`, as RingPlan::take() does, and computes
  /// them. Throws std::runtime_error when that fails or the result is not finite.
  void run(RingPlan& plan, std::span<const int> regions, std::span<const RowAxes> axes,
           LogitsOf wanted);
  /// The same for rows of branches, as RingPlan::take_branches() does; attention is not captured.
  void run_branches(RingPlan& plan, int region, std::span<const BranchRow> rows, LogitsOf wanted);

  /// Whether a row of the last run exited early.
  bool exited(int row) const { return exit_ && exit_->exits(row); }

  KvRing& ring() { return ring_; }
  const KvRing& ring() const { return ring_; }
  StepResults& results() { return results_; }
  const CapturedAttention& attention() const { return attention_; }
  void clear_attention() { attention_.clear(); }
  /// Memory of the stream on the device.
  size_t n_bytes() const;

 private:
  void run_step(RingPlan& plan, const RingStep& step, LogitsOf wanted);
  void run_with_exit(const RingPlan& plan, const RingStep& step, LogitsOf wanted);
  void move_keys(const RingPlan& plan, const RingStep& step);
  void compute(Graph& graph);

  const GgufModel& model_;
  BackendHandle backend_;
  KvRing ring_;
  StepInputs inputs_;
  std::unique_ptr<MergeInputs> merges_;  // null unless rows are merged
  RingGraphs graphs_;
  StepResults results_;
  CapturedAttention attention_;
  std::optional<EarlyExit> exit_;
};

}  // namespace edgestream
