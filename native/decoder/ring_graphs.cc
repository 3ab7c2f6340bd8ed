// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring_graphs.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace edgestream {

namespace {

constexpr size_t kLogitsKinds = 3;                  // none, of the last row, of every row
constexpr size_t kKindsPerSize = 2 * kLogitsKinds;  // into sinks or not

void check_supported(ggml_backend_dev_t device, const Graph& graph) {
  for (int i = 0; i < ggml_graph_n_nodes(graph.nodes); ++i) {
    ggml_tensor* const node = ggml_graph_node(graph.nodes, i);
    if (!ggml_backend_dev_supports_op(device, node)) {
      throw std::runtime_error("device: " + std::string(ggml_backend_dev_name(device)) +
                               " cannot compute " + ggml_op_desc(node) +
                               " of this model; use the device CPU");
    }
  }
}

}  // namespace

RingGraphs::RingGraphs(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                       const StepInputs& inputs, const MergeInputs* merges,
                       std::span<const int> attention_layers)
    : step_sizes_(plan.step_sizes().begin(), plan.step_sizes().end()),
      allocator_(ggml_gallocr_new(ggml_backend_dev_buffer_type(model.device()))),
      steps_(step_sizes_.size() * kKindsPerSize) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const StepKind kind{.n_rows = step_sizes_[i / kKindsPerSize],
                        .into_sinks = i % kKindsPerSize >= kLogitsKinds,
                        .logits = static_cast<LogitsOf>(i % kLogitsKinds)};
    if (kind.into_sinks && kind.n_rows > plan.shape().n_sinks) continue;
    steps_[i] = std::make_unique<Graph>(
        build_step_graph(model, plan, ring, inputs, kind, attention_layers));
  }
  if (plan.places_keys()) turns_.push_back(build_place_graph(model, ring, inputs));
  if (merges != nullptr) turns_.push_back(build_merge_graph(model, ring, *merges));
  for (int clock = 0; clock < plan.n_clocks() && !plan.places_keys(); ++clock) {
    turns_.push_back(build_turn_graph(model, plan, ring, inputs, clock));
  }
  for (const Graph* graph : all()) check_supported(model.device(), *graph);
  lay_out(plan);
}

size_t RingGraphs::index(StepKind kind) const {
  const auto size = std::ranges::lower_bound(step_sizes_, kind.n_rows);
  return (size - step_sizes_.begin()) * kKindsPerSize + kLogitsKinds * kind.into_sinks +
         static_cast<size_t>(kind.logits);
}

std::vector<Graph*> RingGraphs::all() {
  std::vector<Graph*> graphs;
  for (const std::unique_ptr<Graph>& graph : steps_) {
    if (graph != nullptr) graphs.push_back(graph.get());
  }
  for (Graph& graph : turns_) graphs.push_back(&graph);
  return graphs;
}

// All graphs share one block of memory: first it grows to what the greediest needs, then each is
// laid out in it, for good.
void RingGraphs::lay_out(const RingPlan& plan) {
  for (const auto act : {ggml_gallocr_reserve, ggml_gallocr_alloc_graph}) {
    for (Graph* graph : all()) {
      if (act(allocator_.get(), graph->nodes)) continue;
      throw std::runtime_error("decoder: no memory to compute steps of " +
                               std::to_string(plan.shape().max_rows) +
                               " rows; lower max_rows or the window");
    }
  }
}

}  // namespace edgestream
