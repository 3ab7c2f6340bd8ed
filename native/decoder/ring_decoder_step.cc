// SPDX-License-Identifier: Apache-2.0
// How a ring decoder computes the rows that it takes.
#include <algorithm>
#include <stdexcept>

#include "decoder/ring_decoder.h"
#include "decoder/ring/row_walk.h"

namespace edgestream {

// Logits of the last row are those of the last run.
void RingDecoder::append(std::span<const RegionRows> groups, LogitsOf wanted) {
  failed_ = true;
  n_logits_ = 0;
  RowWalk rows(groups, n_embd());
  int n_done = n_proposed_;  // rows before this run; there is room for those of a proposal
  while (!rows.done()) {
    const int n_rows = plan_.next_rows(rows.n_left());
    if (n_done + n_rows > plan_.shape().max_rows) n_done = 0;
    const std::span regions = std::span(row_regions_).subspan(n_done, n_rows);
    const std::span axes = std::span(row_axes_).subspan(n_done, n_rows);
    rows.take(n_rows, [&](int first, const RegionRows& group, int64_t from, int n) {
      inputs_.send_rows(first, group.embeddings.subspan(from * n_embd(), int64_t{n} * n_embd()));
      std::ranges::fill(regions.subspan(first, n), group.region);
      place_on_axes(group, from, axes.subspan(first, n));
    });
    n_done += n_rows;
    const bool only_enters = wanted == LogitsOf::kLastRow && !rows.done();
    run_rows(regions, axes, only_enters ? LogitsOf::kNone : wanted);
    if (exit_) count_exits(n_done - n_rows);
  }
  failed_ = false;
}

// The rows of a group from its row `from` on, as the plan takes them.
void RingDecoder::place_on_axes(const RegionRows& group, int64_t from, std::span<RowAxes> places) {
  std::ranges::fill(places, RowAxes{});
  if (group.axes.empty()) return;
  for (size_t row = 0; row < places.size(); ++row) {
    const auto axes = group.axes.subspan((from + row) * kAxes, kAxes);
    RowAxes& place = places[row];
    place.of_text = false;
    place.begins = from + row == 0;
    place.least = std::ranges::min(axes);
    for (size_t axis = 0; axis < kAxes; ++axis) place.above[axis] = axes[axis] - place.least;
  }
}

void RingDecoder::run_rows(std::span<const int> regions, std::span<const RowAxes> axes,
                           LogitsOf wanted) {
  const RingStep& step = plan_.take(regions, axes);
  move_keys(step);
  inputs_.send_places(plan_, step);
  const StepKind kind{step.n_rows, step.into_sinks, wanted};
  if (exit_) {
    run_with_exit(kind);
    return;
  }
  Graph& graph = graphs_.step(kind);
  compute(graph);
  if (graph.logits != nullptr) read_logits(graph);
  if (graph.attention != nullptr) attention_.read(graph, plan_);
  if (graph.mass != nullptr) read_mass(graph);
}

// The layers behind the exit are computed for all rows of a step or for none. Where the last row
// exits, nobody waits for logits of theirs.
void RingDecoder::run_with_exit(StepKind kind) {
  Graph& front =
      graphs_.step({kind.n_rows, kind.into_sinks, LogitsOf::kEveryRow, StepPart::kFront});
  compute(front);
  exit_->decide(front);
  if (front.attention != nullptr && kind.logits != LogitsOf::kNone) attention_.read(front, plan_);
  const int last = kind.n_rows - 1;
  const bool all_exit = exit_->n_exits() == kind.n_rows;
  const bool none = all_exit || (kind.logits == LogitsOf::kLastRow && exit_->exits(last));
  inputs_.send_sources(exit_->sources());
  Graph& rest = graphs_.step({kind.n_rows, kind.into_sinks, none ? LogitsOf::kNone : kind.logits,
                              all_exit ? StepPart::kFill : StepPart::kBack});
  compute(rest);
  if (kind.logits != LogitsOf::kNone) {
    read_logits_or_exits(rest, kind.logits == LogitsOf::kEveryRow ? 0 : last);
  }
}

void RingDecoder::count_exits(int first) {
  for (int row = 0; row < exit_->n_rows(); ++row) {
    row_exits_[first + row] = exit_->exits(row) ? 1 : 0;
    n_exits_ += row_exits_[first + row];
  }
}

void RingDecoder::move_keys(const RingStep& step) {
  if (!step.merges.empty()) {
    merges_->send(step.merges);
    compute(graphs_.merge());
  }
  if (step.place_keys) {
    inputs_.send_key_positions(plan_);
    compute(graphs_.place());
  }
  for (int clock = 0; clock < plan_.n_clocks(); ++clock) {
    if (step.rebase_by[clock] == 0) continue;
    inputs_.send_turn(-step.rebase_by[clock]);
    compute(graphs_.turn(clock));
  }
}

void RingDecoder::compute(Graph& graph) {
  const ggml_status status = ggml_backend_graph_compute(backend_.get(), graph.nodes);
  if (status != GGML_STATUS_SUCCESS) {
    throw std::runtime_error("decoder: " + std::string(ggml_backend_dev_name(model_->device())) +
                             " failed to compute a step (" + ggml_status_to_string(status) +
                             "); reset the stream");
  }
}

}  // namespace edgestream
