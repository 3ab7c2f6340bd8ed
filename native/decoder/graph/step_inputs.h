// SPDX-License-Identifier: Apache-2.0
// What a step reads, on the device.
#pragma once

#include <array>
#include <vector>

#include "core/ring/decoder.h"
#include "core/ring/ring_plan.h"
#include "decoder/ring/kv_ring.h"

namespace edgestream {

/// Inputs of a step, in a buffer of their own: the graph allocator would reuse their memory.
class StepInputs {
 public:
  /// With memory for early exit if the stream `exits_early`.
  StepInputs(const GgufModel& model, const RingPlan& plan, const KvRing& ring, bool exits_early);

  /// Sends `rows` [n, row_width] as the step's rows from `first` on.
  void send_rows(int first, std::span<const float> rows);
  /// Sends where the rows of `step`, the last over `rows`, go, and who sees whom.
  void send_places(const RingRows& rows, const RingStep& step);
  /// Sends by how much every key of a clock turns.
  void send_turn(int32_t by);
  /// Sends where every key is to be placed.
  void send_key_positions(const RingPlan& plan);

  /// Sends, of a step of n rows, from where each row [n] goes into the next layer behind the exit:
  /// from the last layer as i, or from the exit as n + i.
  void send_sources(std::span<const int32_t> from);

  /// Memory on the device.
  size_t n_bytes() const { return ggml_backend_buffer_get_size(buffer_.get()); }

  ggml_tensor* embeddings;  // [row_width, max_rows]
  // Positions have the model's position_parts, part by part for the rows that a step has. Each list
  // is a tensor of its own: devices read from aligned addresses, and views within need not be.
  ggml_tensor* positions;                     // [max_rows * parts] i32
  std::vector<ggml_tensor*> query_positions;  // by clock [max_rows * parts] i32; none with one
  ggml_tensor* sink_query_positions;          // [max_rows * parts] i32
  ggml_tensor* mask;            // [n_slots, max_rows] 0 or -infinity; in front as read
  ggml_tensor* local_mask;      // the same for local layers; null without any
  ggml_tensor* key_slots;       // [max_rows] i64
  ggml_tensor* value_cells;     // [kv_width * max_rows] i64, in a layer's values; null: in rows
  ggml_tensor* sink_positions;  // [n_sinks * parts] i32; null without sinks
  ggml_tensor* sink_slots;      // [n_sinks] i64; null without sinks
  ggml_tensor* turn;            // [parts] i32: for one layer
  ggml_tensor* layer_turns;     // [n_layers * parts] i32: for as many layers as are turned at once
  ggml_tensor* key_positions;   // [n_slots * parts] i32; null unless the plan places keys
  ggml_tensor* at_exit;         // [n_embd, max_rows] the rows at the exit; null without early exit
  ggml_tensor* sources;         // [max_rows] i32; null without early exit

 private:
  void send_value_cells(const RingStep& step);
  void send_positions(ggml_tensor* to, std::span<const int32_t> positions,
                      std::span<const std::array<int32_t, kAxes>> above);

  const int local_reach_;
  const int n_parts_;
  ContextHandle context_;
  BufferHandle buffer_;
  std::vector<float> mask_values_;       // [max_rows, n_columns]
  std::vector<int64_t> cells_;           // [max_rows, kv_width]
  std::vector<int32_t> sinks_;           // [n_sinks]
  std::vector<int32_t> turns_;           // [n_layers]
  std::vector<int32_t> key_positions_;   // [n_slots]
  std::vector<int32_t> part_positions_;  // as many as there can be positions
};

}  // namespace edgestream
