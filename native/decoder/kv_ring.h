// SPDX-License-Identifier: Apache-2.0
// The memory of a stream on the device: keys and values of the kept rows, and what a step reads.
#pragma once

#include "core/ring_plan.h"
#include "decoder/gguf_model.h"

namespace edgestream {

/// Keys, values and the sinks' master copy of one stream. Slots are those of a RingPlan.
struct KvRing {
  KvRing(const GgufModel& model, const RingPlan& plan, ggml_type type);

  /// Takes over the contents of a ring of the same model, plan and type.
  void copy_from(const KvRing& other);

  ContextHandle context;
  BufferHandle buffer;     // zeroed: what was never written must not be NaN, 0 * NaN is NaN
  ggml_tensor* keys;       // [kv_width, n_slots, n_layers], rotated
  ggml_tensor* values;     // [n_slots, kv_width, n_layers]: transposed, a head's sums run along it
  ggml_tensor* sink_keys;  // [kv_width, n_layers, n_sinks] float32 before rotation; null: no sinks
};

/// Inputs of a step. In a buffer of their own: the graph allocator would reuse their memory.
struct StepInputs {
  StepInputs(const GgufModel& model, const RingPlan& plan);

  ContextHandle context;
  BufferHandle buffer;
  ggml_tensor* embeddings;            // [n_embd, max_rows]
  ggml_tensor* positions;             // [max_rows] i32
  ggml_tensor* sink_query_positions;  // [max_rows] i32
  ggml_tensor* mask;                  // [n_slots, max_rows] 0 or -infinity
  ggml_tensor* key_slots;             // [max_rows] i64
  ggml_tensor* value_cells;           // [kv_width * max_rows] i64, in a layer's values
  ggml_tensor* sink_positions;        // [n_sinks] i32; null without sinks
  ggml_tensor* sink_slots;            // [n_sinks] i64; null without sinks
  ggml_tensor* rebase_turn;           // [1] i32 added to every key's position
};

}  // namespace edgestream
