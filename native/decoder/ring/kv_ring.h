// SPDX-License-Identifier: Apache-2.0
// The memory of a stream on the device: keys and values of the kept rows.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "core/ring/ring_plan.h"
#include "decoder/file/gguf_model.h"

namespace edgestream {

/// The type of keys and values called `name`: f32, f16, bf16, q8_0 or q4_0. Throws
/// std::invalid_argument on another one, or on one whose blocks do not fit the heads of `shape`.
ggml_type read_kv_type(const std::string& name, const ModelShape& shape);

/// Keys, values and the attention sinks' master copy of one stream. Slots are those of a RingPlan.
struct KvRing {
  KvRing(const GgufModel& model, const RingPlan& plan, ggml_type type);

  /// Takes over the contents of a ring of the same model, plan and type.
  void copy_from(const KvRing& other);

  /// All that the ring holds, as it lies on the device.
  std::vector<std::byte> contents() const;
  /// Takes over contents() of a ring of the same model, plan and type. Throws
  /// std::invalid_argument, with nothing changed, on another number of bytes.
  void set_contents(std::span<const std::byte> contents);

  /// Values of 16 or 32 bits are stored transposed: a head's sums run along them. Those of a
  /// quantized type stay rows, since a block of them is written as one.
  bool transposes_values() const { return !ggml_is_quantized(values->type); }

  ContextHandle context;
  BufferHandle buffer;     // zeroed: what was never written must not be NaN, 0 * NaN is NaN
  ggml_tensor* keys;       // [kv_width, n_slots, n_layers], rotated
  ggml_tensor* values;     // [n_slots, kv_width, n_layers], or [kv_width, n_slots, n_layers]
  ggml_tensor* sink_keys;  // [kv_width, n_layers, n_sinks] float32 before rotation; null: no sinks
  ggml_tensor* raw_keys;   // as keys, before rotation; null unless the plan places keys
};

/// A layer [width, n_slots] of the ring's keys or values, as a view.
ggml_tensor* layer_of(ggml_context* context, ggml_tensor* all, int layer);

}  // namespace edgestream
