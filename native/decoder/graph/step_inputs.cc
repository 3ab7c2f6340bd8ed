// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/step_inputs.h"

#include <algorithm>
#include <numeric>

#include "core/ring/ring_mask.h"

namespace edgestream {

namespace {

constexpr size_t kInputTensors = 14;  // and a list of positions for each clock

template <typename T>
void set_front(ggml_tensor* tensor, std::span<const T> values) {
  ggml_backend_tensor_set(tensor, values.data(), 0, values.size_bytes());
}

}  // namespace

StepInputs::StepInputs(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                       bool exits_early)
    : local_reach_(model.shape().local_reach),
      n_parts_(model.shape().position_parts()),
      context_(make_context(kInputTensors + plan.n_clocks())) {
  const ModelShape& s = model.shape();
  const int64_t n_rows = plan.shape().max_rows;
  const int64_t n_sinks = plan.shape().n_sinks;
  ggml_context* const c = context_.get();
  const int64_t parts = n_parts_;
  const auto integers = [c](bool needed, ggml_type type, int64_t n) {
    return needed ? ggml_new_tensor_1d(c, type, n) : nullptr;
  };
  embeddings = ggml_new_tensor_2d(c, GGML_TYPE_F32, s.row_width(), n_rows);
  positions = integers(true, GGML_TYPE_I32, n_rows * parts);
  for (int clock = 0; plan.n_clocks() > 1 && clock < plan.n_clocks(); ++clock) {
    query_positions.push_back(integers(true, GGML_TYPE_I32, n_rows * parts));
  }
  sink_query_positions = integers(true, GGML_TYPE_I32, n_rows * parts);
  mask = ggml_new_tensor_2d(c, GGML_TYPE_F32, plan.n_slots(), n_rows);
  local_mask = local_reach_ > 0 ? ggml_dup_tensor(c, mask) : nullptr;
  key_slots = integers(true, GGML_TYPE_I64, n_rows);
  value_cells = integers(ring.transposes_values(), GGML_TYPE_I64, n_rows * s.kv_width());
  sink_positions = integers(n_sinks > 0, GGML_TYPE_I32, n_sinks * parts);
  sink_slots = integers(n_sinks > 0, GGML_TYPE_I64, n_sinks);
  turn = integers(true, GGML_TYPE_I32, parts);
  layer_turns = integers(true, GGML_TYPE_I32, s.n_layers * parts);
  key_positions = integers(plan.places_keys(), GGML_TYPE_I32, plan.n_slots() * parts);
  at_exit = exits_early ? ggml_new_tensor_2d(c, GGML_TYPE_F32, s.n_embd, n_rows) : nullptr;
  sources = integers(exits_early, GGML_TYPE_I32, n_rows);
  buffer_ = allocate_tensors(c, model.device(), "step inputs");
  mask_values_.resize(ggml_nelements(mask));
  cells_.resize(value_cells == nullptr ? 0 : n_rows * s.kv_width());
  sinks_.resize(n_sinks);
  turns_.resize(s.n_layers);
  key_positions_.resize(key_positions == nullptr ? 0 : plan.n_slots());
  part_positions_.resize(std::max<int64_t>({n_rows, n_sinks, s.n_layers, plan.n_slots()}));
  if (n_sinks == 0) return;
  std::vector<int64_t> slots(n_sinks);
  std::iota(slots.begin(), slots.end(), 0);
  set_front<int64_t>(sink_slots, slots);
}

void StepInputs::send_rows(int first, std::span<const float> rows) {
  ggml_backend_tensor_set(embeddings, rows.data(), first * embeddings->nb[1], rows.size_bytes());
}

void StepInputs::send_places(const RingRows& rows, const RingStep& step) {
  const std::span seen =
      std::span(mask_values_).first(static_cast<size_t>(step.n_rows) * step.n_columns);
  write_mask(rows, step, seen);
  set_front<float>(mask, seen);
  if (local_mask != nullptr) {
    hide_beyond(rows, step, local_reach_, seen);
    set_front<float>(local_mask, seen);
  }
  send_positions(positions, step.positions, step.above);
  for (size_t clock = 0; clock < query_positions.size(); ++clock) {
    send_positions(query_positions[clock],
                   step.query_positions.subspan(clock * step.n_rows, step.n_rows), step.above);
  }
  send_positions(sink_query_positions, step.sink_query_positions, step.above);
  set_front(key_slots, step.slots);
  if (value_cells != nullptr) send_value_cells(step);
  if (sink_positions == nullptr) return;
  std::iota(sinks_.begin(), sinks_.end(), step.sink_position);
  send_positions(sink_positions, sinks_, {});
}

// Time, height and width of a row of text are one number (Wang et al. 2024, "Qwen2-VL"); what is
// `above` it is that of a picture. The fourth part is 0.
void StepInputs::send_positions(ggml_tensor* to, std::span<const int32_t> positions,
                                std::span<const std::array<int32_t, kAxes>> above) {
  const std::span part_positions = std::span(part_positions_).first(positions.size());
  for (int part = 0; part < n_parts_; ++part) {
    for (size_t i = 0; i < positions.size(); ++i) {
      part_positions[i] = part < static_cast<int>(kAxes) ? positions[i] : 0;
      if (part < static_cast<int>(kAxes) && !above.empty()) part_positions[i] += above[i][part];
    }
    ggml_backend_tensor_set(to, part_positions.data(), part * part_positions.size_bytes(),
                            part_positions.size_bytes());
  }
}

void StepInputs::send_value_cells(const RingStep& step) {
  const auto n_slots = mask->ne[0];
  const int64_t kv_width = value_cells->ne[0] / mask->ne[1];
  for (int64_t i = 0; i < step.n_rows * kv_width; ++i) {
    cells_[i] = i % kv_width * n_slots + step.slots[i / kv_width];
  }
  set_front<int64_t>(value_cells, std::span(cells_).first(step.n_rows * kv_width));
}

void StepInputs::send_turn(int32_t by) {
  std::ranges::fill(turns_, by);
  send_positions(turn, std::span(turns_).first(1), {});
  send_positions(layer_turns, turns_, {});
}

void StepInputs::send_sources(std::span<const int32_t> from) { set_front(sources, from); }

void StepInputs::send_key_positions(const RingPlan& plan) {
  plan.write_key_positions(key_positions_);
  send_positions(key_positions, key_positions_, plan.rows().above);
}

}  // namespace edgestream
