// SPDX-License-Identifier: Apache-2.0
// All computations that a stream will ever need.
#pragma once

#include <memory>
#include <vector>

#include "decoder/graph/merge_graph.h"
#include "decoder/graph/step_graph.h"
#include "decoder/graph/turn_graph.h"

namespace edgestream {

/// The graphs of a stream, built and laid out in one block of memory at construction.
class RingGraphs {
 public:
  /// `merges` is null where no rows are merged. Throws std::runtime_error when the device lacks
  /// memory or an operation.
  RingGraphs(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
             const StepInputs& inputs, const MergeInputs* merges, const RingDecoderConfig& config);

  /// The step that reads the slots `reads` of each region.
  Graph& step(StepKind kind, std::span<const SlotSpan> reads);
  /// Turns the keys of a clock; see build_turn_graph().
  Graph& turn(int clock) { return turns_[clock]; }
  /// Places all keys, where the plan places keys; see build_place_graph().
  Graph& place() { return turns_[0]; }
  /// Merges rows, where there are such; see build_merge_graph().
  Graph& merge() { return turns_[1]; }

  /// Memory between the nodes on the device.
  size_t n_bytes() const { return ggml_gallocr_get_buffer_size(allocator_.get(), 0); }

 private:
  std::vector<StepKind> needed_kinds(int n_sinks) const;
  size_t index(StepKind kind) const;
  std::vector<Graph*> all();
  void lay_out(const RingPlan& plan);

  const std::vector<int> step_sizes_;
  const bool exits_early_;
  AllocatorHandle allocator_;
  std::vector<std::unique_ptr<Graph>> steps_;  // by index(); null: never needed
  std::vector<Graph> turns_;  // by clock; or the one that places keys and the one that merges
};

}  // namespace edgestream
