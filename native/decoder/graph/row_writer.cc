// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/row_writer.h"

namespace edgestream {

RowWriter::RowWriter(const LayerBuilder& layers, const ModelShape& shape, const KvRing& ring,
                     const StepInputs& inputs, StepKind kind, Graph& step)
    : c_(step.context.get()),
      layers_(layers),
      shape_(shape),
      ring_(ring),
      inputs_(inputs),
      kind_(kind),
      step_(step),
      positions_(
          ggml_view_1d(c_, inputs.positions, int64_t{kind.n_rows} * shape.position_parts(), 0)),
      key_slots_(ggml_view_1d(c_, inputs.key_slots, kind.n_rows, 0)) {}

void RowWriter::place_sinks() {
  for (const LayerRun run : shape_.rope_runs()) place_sinks(run);
}

// One rotation and one write put the sinks of many layers where this step's last row looks: all
// layers' heads of a sink turn together, sines and cosines are computed once for them.
void RowWriter::place_sinks(LayerRun layers) {
  ggml_tensor* const unrotated = ring_.sink_keys;
  const int64_t n_sinks = unrotated->ne[2];
  ggml_tensor* placed = ggml_view_3d(
      c_, unrotated, shape_.head_dim, int64_t{shape_.n_kv_heads} * layers.n_layers, n_sinks,
      shape_.head_dim * unrotated->nb[0], unrotated->nb[2], layers.first * unrotated->nb[1]);
  placed = layers_.rotate(placed, inputs_.sink_positions, layers.first);
  placed = ggml_reshape_3d(c_, placed, shape_.kv_width(), layers.n_layers, n_sinks);
  ggml_tensor* const keys = ring_.keys;
  ggml_tensor* const of_layers = ggml_view_3d(c_, keys, keys->ne[0], keys->ne[1], layers.n_layers,
                                              keys->nb[1], keys->nb[2], layers.first * keys->nb[2]);
  step_.run(ggml_set_rows(c_, of_layers, ggml_permute(c_, placed, 0, 2, 1, 3), inputs_.sink_slots));
}

void RowWriter::write(ggml_tensor* input, int layer) {
  ggml_tensor* const key = layers_.key(input, layer);      // [head_dim, n_kv_heads, n]
  ggml_tensor* const value = layers_.value(input, layer);  // [kv_width, n]
  if (kind_.into_sinks) {
    ggml_tensor* const unrotated = ring_.sink_keys;
    ggml_tensor* const sinks = ggml_view_2d(c_, unrotated, shape_.kv_width(), unrotated->ne[2],
                                            unrotated->nb[2], layer * unrotated->nb[1]);
    step_.run(ggml_set_rows(c_, sinks, as_rows(key), key_slots_));
  }
  if (ring_.raw_keys != nullptr) {
    step_.run(ggml_set_rows(c_, layer_of(c_, ring_.raw_keys, layer), as_rows(key), key_slots_));
  }
  step_.run(ggml_set_rows(c_, layer_of(c_, ring_.keys, layer),
                          as_rows(layers_.rotate(key, positions_, layer)), key_slots_));
  step_.run(write_values(value, layer_of(c_, ring_.values, layer)));
}

ggml_tensor* RowWriter::write_values(ggml_tensor* value, ggml_tensor* values) {
  if (!ring_.transposes_values()) return ggml_set_rows(c_, values, value, key_slots_);
  const int64_t n = ggml_nelements(value);
  return ggml_set_rows(c_, ggml_reshape_2d(c_, values, 1, ggml_nelements(values)),
                       ggml_reshape_2d(c_, value, 1, n),
                       ggml_view_1d(c_, inputs_.value_cells, n, 0));
}

// [head_dim, n_kv_heads, n] -> [kv_width, n]
ggml_tensor* RowWriter::as_rows(ggml_tensor* heads) {
  return ggml_reshape_2d(c_, heads, shape_.kv_width(), kind_.n_rows);
}

}  // namespace edgestream
