// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/turn_graph.h"

#include "decoder/graph/layer.h"

namespace edgestream {

namespace {

bool rotates_as_it_is(const ggml_tensor* keys) {
  return keys->type == GGML_TYPE_F32 || keys->type == GGML_TYPE_F16;
}

// Rows [kv_width, n] of a layer, from slot `first` on.
ggml_tensor* rows_of(ggml_context* c, ggml_tensor* keys, int layer, int first, int64_t n) {
  return ggml_view_2d(c, keys, keys->ne[0], n, keys->nb[1],
                      layer * keys->nb[2] + first * keys->nb[1]);
}

ggml_tensor* as_float(ggml_context* c, ggml_tensor* rows) {
  return rotates_as_it_is(rows) ? rows : ggml_cast(c, rows, GGML_TYPE_F32);
}

}  // namespace

Graph build_turn_graph(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                       const StepInputs& inputs, int clock) {
  const ModelShape& s = model.shape();
  Graph turn(s.n_layers);
  ggml_context* const c = turn.context.get();
  const LayerBuilder layers(c, model);
  const auto [first, last] = plan.clock_slots(clock);
  const int64_t n_slots = last - first;
  ggml_tensor* const keys = ring.keys;
  // As if all slots' heads were those of one row: sines and cosines are computed once for them.
  const int64_t n_heads = n_slots * s.n_kv_heads;
  const auto turned = [&](ggml_tensor* heads, int layer, bool in_place) {
    const int64_t n_parts = s.position_parts();
    ggml_tensor* const by = heads->ne[2] == 1
                                ? inputs.turn
                                : ggml_view_1d(c, inputs.layer_turns, heads->ne[2] * n_parts, 0);
    return layers.turn_on(heads, by, layer, in_place);
  };
  for (const LayerRun run : s.rope_runs()) {
    if (rotates_as_it_is(keys)) {
      ggml_tensor* const heads = ggml_view_3d(c, keys, s.head_dim, n_heads, run.n_layers,
                                              ggml_row_size(keys->type, s.head_dim), keys->nb[2],
                                              run.first * keys->nb[2] + first * keys->nb[1]);
      turn.run(turned(heads, run.first, /*in_place=*/true));
      continue;
    }
    for (int layer = run.first; layer < run.first + run.n_layers; ++layer) {
      ggml_tensor* const rows = rows_of(c, keys, layer, first, n_slots);
      ggml_tensor* const heads = ggml_reshape_3d(c, as_float(c, rows), s.head_dim, n_heads, 1);
      turn.run(ggml_cpy(c, turned(heads, layer, /*in_place=*/false), rows));
    }
  }
  return turn;
}

Graph build_place_graph(const GgufModel& model, const KvRing& ring, const StepInputs& inputs) {
  const ModelShape& s = model.shape();
  Graph place(s.n_layers);
  ggml_context* const c = place.context.get();
  const LayerBuilder layers(c, model);
  const int64_t n_slots = ring.keys->ne[1];
  for (const LayerRun run : s.rope_runs()) {
    for (int layer = run.first; layer < run.first + run.n_layers; ++layer) {
      ggml_tensor* const raw = as_float(c, rows_of(c, ring.raw_keys, layer, 0, n_slots));
      ggml_tensor* const heads = ggml_reshape_3d(c, raw, s.head_dim, s.n_kv_heads, n_slots);
      place.run(ggml_cpy(c, layers.rotate(heads, inputs.key_positions, layer),
                         rows_of(c, ring.keys, layer, 0, n_slots)));
    }
  }
  return place;
}

}  // namespace edgestream
