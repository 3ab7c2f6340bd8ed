// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/step_runner.h"

#include <stdexcept>
#include <string>

namespace edgestream {

StepRunner::StepRunner(const GgufModel& model, const RingPlan& plan,
                       const RingDecoderConfig& config)
    : model_(model),
      backend_(open_device(model.device(), config.n_threads)),
      ring_(model, plan, read_kv_type(config.kv_type, model.shape())),
      inputs_(model, plan, ring_, config.exit_layer > 0),
      merges_(plan.shape().retention == Retention::kMerge
                  ? std::make_unique<MergeInputs>(model, plan, ring_)
                  : nullptr),
      graphs_(model, plan, ring_, inputs_, merges_.get(), config),
      results_(model.shape(), plan),
      attention_(plan, model.shape().n_heads, static_cast<int>(config.attention_layers.size())) {
  if (config.exit_layer == 0) return;
  exit_.emplace(model.shape().n_vocab, plan.shape().max_rows, config.exit_threshold);
}

size_t StepRunner::n_bytes() const {
  return ggml_backend_buffer_get_size(ring_.buffer.get()) + inputs_.n_bytes() +
         (merges_ == nullptr ? 0 : merges_->n_bytes()) + graphs_.n_bytes();
}

void StepRunner::run(RingPlan& plan, std::span<const int> regions, std::span<const RowAxes> axes,
                     LogitsOf wanted) {
  run_step(plan, plan.take(regions, axes), wanted);
}

void StepRunner::run_branches(RingPlan& plan, int region, std::span<const BranchRow> rows,
                              LogitsOf wanted) {
  run_step(plan, plan.take_branches(region, rows), wanted);
}

void StepRunner::run_step(RingPlan& plan, const RingStep& step, LogitsOf wanted) {
  move_keys(plan, step);
  inputs_.send_places(plan.rows(), step);
  if (exit_) return run_with_exit(plan, step, wanted);
  Graph& graph = graphs_.step({step.n_rows, step.into_sinks, wanted}, step.reads);
  compute(graph);
  if (graph.logits != nullptr) results_.read_logits(graph);
  if (graph.attention != nullptr && step.branches.empty())
    attention_.read(graph, plan.rows(), step);
  if (graph.mass != nullptr) plan.add_mass(results_.read_mass(graph));
}

// The layers behind the exit are computed for all rows of a step or for none. Where the last row
// exits, nobody waits for logits of theirs.
void StepRunner::run_with_exit(const RingPlan& plan, const RingStep& step, LogitsOf wanted) {
  Graph& front = graphs_.step({step.n_rows, step.into_sinks, LogitsOf::kEveryRow, StepPart::kFront},
                              step.reads);
  compute(front);
  exit_->decide(front);
  if (front.attention != nullptr && wanted != LogitsOf::kNone && step.branches.empty()) {
    attention_.read(front, plan.rows(), step);
  }
  const int last = step.n_rows - 1;
  const bool all_exit = exit_->n_exits() == step.n_rows;
  const bool none = all_exit || (wanted == LogitsOf::kLastRow && exit_->exits(last));
  inputs_.send_sources(exit_->sources());
  Graph& rest = graphs_.step({step.n_rows, step.into_sinks, none ? LogitsOf::kNone : wanted,
                              all_exit ? StepPart::kFill : StepPart::kBack},
                             step.reads);
  compute(rest);
  if (wanted == LogitsOf::kNone) return;
  results_.read_logits_or_exits(rest, *exit_, wanted == LogitsOf::kEveryRow ? 0 : last);
}

void StepRunner::move_keys(const RingPlan& plan, const RingStep& step) {
  if (!step.merges.empty()) {
    merges_->send(step.merges);
    compute(graphs_.merge());
  }
  if (step.place_keys) {
    inputs_.send_key_positions(plan);
    compute(graphs_.place());
  }
  for (int clock = 0; clock < plan.n_clocks(); ++clock) {
    if (step.rebase_by[clock] == 0) continue;
    inputs_.send_turn(-step.rebase_by[clock]);
    compute(graphs_.turn(clock));
  }
}

void StepRunner::compute(Graph& graph) {
  const ggml_status status = ggml_backend_graph_compute(backend_.get(), graph.nodes);
  if (status != GGML_STATUS_SUCCESS) {
    throw std::runtime_error("decoder: " + std::string(ggml_backend_dev_name(model_.device())) +
                             " failed to compute a step (" + ggml_status_to_string(status) +
                             "); reset the stream");
  }
}

}  // namespace edgestream
