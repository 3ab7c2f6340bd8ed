// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/ring_graphs.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace edgestream {

namespace {

constexpr std::array kLogitsKinds = {LogitsOf::kNone, LogitsOf::kLastRow, LogitsOf::kEveryRow};
constexpr size_t kParts = 4;
constexpr size_t kKindsPerSize = kParts * 2 * kLogitsKinds.size();  // into sinks or not

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

std::vector<SlotSpan> all_slots(const RingRows& rows) {
  std::vector<SlotSpan> reads;
  for (int region = 0; region < rows.n_regions(); ++region) reads.push_back(rows.all_slots(region));
  return reads;
}

// With one block less of a region.
std::vector<SlotSpan> shortened(std::vector<SlotSpan> reads, int region) {
  reads[region].n -= kSlotBlock;
  for (size_t later = region + 1; later < reads.size(); ++later) {
    reads[later].first_column -= kSlotBlock;
  }
  return reads;
}

}  // namespace

RingGraphs::RingGraphs(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                       const StepInputs& inputs, const MergeInputs* merges,
                       const RingDecoderConfig& config)
    : step_sizes_(plan.step_sizes().begin(), plan.step_sizes().end()),
      exits_early_(config.exit_layer > 0),
      allocator_(ggml_gallocr_new(ggml_backend_dev_buffer_type(model.device()))),
      steps_(step_sizes_.size() * kKindsPerSize) {
  const std::vector<SlotSpan> whole = all_slots(plan.rows());
  for (const StepKind kind : needed_kinds(plan.shape().n_sinks)) {
    const auto build = [&](std::span<const SlotSpan> reads) {
      return build_step_graph(model, plan, ring, inputs, kind, reads, config);
    };
    Graph& graph = *(steps_[index(kind)] = std::make_unique<Graph>(build(whole)));
    graph.shapes = SlotShapes(whole);
    for (int region = 0; region < plan.n_regions(); ++region) {
      if (whole[region].n == kSlotBlock) continue;
      const Graph shorter = build(shortened(whole, region));
      graph.shapes.learn(graph.context.get(), shorter.context.get(), region);
    }
  }
  if (plan.places_keys()) turns_.push_back(build_place_graph(model, ring, inputs));
  if (merges != nullptr) turns_.push_back(build_merge_graph(model, ring, *merges));
  for (int clock = 0; clock < plan.n_clocks() && !plan.places_keys(); ++clock) {
    turns_.push_back(build_turn_graph(model, plan, ring, inputs, clock));
  }
  for (const Graph* graph : all()) check_supported(model.device(), *graph);
  lay_out(plan);
}

Graph& RingGraphs::step(StepKind kind, std::span<const SlotSpan> reads) {
  Graph& graph = *steps_[index(kind)];
  graph.shapes.set(reads);
  return graph;
}

std::vector<StepKind> RingGraphs::needed_kinds(int n_sinks) const {
  std::vector<StepKind> kinds;
  for (const int n_rows : step_sizes_) {
    for (const bool into_sinks : {false, true}) {
      if (into_sinks && n_rows > n_sinks) continue;
      for (const LogitsOf logits : kLogitsKinds) {
        const StepPart part = exits_early_ ? StepPart::kBack : StepPart::kWhole;
        kinds.push_back({n_rows, into_sinks, logits, part});
      }
      if (!exits_early_) continue;
      kinds.push_back({n_rows, into_sinks, LogitsOf::kEveryRow, StepPart::kFront});
      kinds.push_back({n_rows, into_sinks, LogitsOf::kNone, StepPart::kFill});
    }
  }
  return kinds;
}

size_t RingGraphs::index(StepKind kind) const {
  const auto size = std::ranges::lower_bound(step_sizes_, kind.n_rows) - step_sizes_.begin();
  const auto part = static_cast<size_t>(kind.part);
  return ((size * kParts + part) * 2 + kind.into_sinks) * kLogitsKinds.size() +
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
