// SPDX-License-Identifier: Apache-2.0
#include "decoder/step_graph.h"

namespace edgestream {

namespace {

constexpr size_t kTensorsPerLayer = 64;  // more than a layer has, views included
constexpr size_t kTensorsBesides = 64;

StepGraph make_graph(int n_layers) {
  const size_t n_tensors = kTensorsPerLayer * n_layers + kTensorsBesides;
  StepGraph step;
  step.context = make_context(n_tensors, n_tensors);
  step.graph = ggml_new_graph_custom(step.context.get(), n_tensors, /*grads=*/false);
  return step;
}

ggml_tensor* rotate(ggml_context* c, const GgufModel& model, ggml_tensor* x, ggml_tensor* positions,
                    bool in_place = false) {
  const LlamaShape& s = model.shape();
  // No YaRN: its factors below switch it off.
  constexpr float kExtrapolation = 0.F, kMagnitude = 1.F, kBetaFast = 0.F, kBetaSlow = 0.F;
  constexpr int kContextUnused = 0;
  const auto rope = in_place ? ggml_rope_ext_inplace : ggml_rope_ext;
  return rope(c, x, positions, model.weights().rope_factors, s.head_dim, GGML_ROPE_TYPE_NORMAL,
              kContextUnused, s.rope_base, s.rope_scale, kExtrapolation, kMagnitude, kBetaFast,
              kBetaSlow);
}

// Builds one graph. Shapes in comments are ggml's: the fastest dimension first.
class Builder {
 public:
  Builder(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
          const StepInputs& inputs, StepKind kind, StepGraph& step)
      : model_(model),
        shape_(model.shape()),
        ring_(ring),
        inputs_(inputs),
        kind_(kind),
        n_slots_(plan.n_slots()),
        n_sinks_(plan.shape().n_sinks),
        c_(step.context.get()),
        step_(step),
        positions_(first_rows(inputs.positions)),
        sink_query_positions_(first_rows(inputs.sink_query_positions)),
        key_slots_(first_rows(inputs.key_slots)),
        value_cells_(
            ggml_view_1d(c_, inputs.value_cells, int64_t{kind.n_rows} * shape_.kv_width(), 0)),
        mask_(ggml_view_2d(c_, inputs.mask, n_slots_, kind.n_rows, inputs.mask->nb[1], 0)) {}

  void build() {
    if (!kind_.into_sinks && n_sinks_ > 0) place_sinks();
    ggml_tensor* x = ggml_view_2d(c_, inputs_.embeddings, shape_.n_embd, kind_.n_rows,
                                  inputs_.embeddings->nb[1], 0);
    for (int layer = 0; layer + 1 < shape_.n_layers; ++layer) {
      x = feed_forward(ggml_add(c_, attention(x, layer), x), layer);
    }
    last_layer(x);
  }

 private:
  ggml_tensor* first_rows(ggml_tensor* vector) { return ggml_view_1d(c_, vector, kind_.n_rows, 0); }

  void run(ggml_tensor* node) { ggml_build_forward_expand(step_.graph, node); }

  ggml_tensor* norm(ggml_tensor* x, ggml_tensor* weight) {
    return ggml_mul(c_, ggml_rms_norm(c_, x, shape_.rms_epsilon), weight);
  }

  // One rotation and one write put the sinks of every layer where this step's last row looks.
  void place_sinks() {
    const int64_t n_layers = shape_.n_layers;
    // All layers' heads of a sink turn together: sines and cosines are computed once for them.
    ggml_tensor* placed = ggml_reshape_3d(c_, ring_.sink_keys, shape_.head_dim,
                                          shape_.n_kv_heads * n_layers, n_sinks_);
    placed = rotate(c_, model_, placed, inputs_.sink_positions);
    placed = ggml_reshape_3d(c_, placed, shape_.kv_width(), n_layers, n_sinks_);
    run(ggml_set_rows(c_, ring_.keys, ggml_permute(c_, placed, 0, 2, 1, 3), inputs_.sink_slots));
  }

  // Nothing is asked of an ingesting step beyond the last layer's keys and values; otherwise only
  // rows that get logits go on.
  void last_layer(ggml_tensor* x) {
    const int layer = shape_.n_layers - 1;
    if (kind_.logits == LogitsOf::kNone) {
      write_rows(norm(x, model_.weights().layers[layer].attention_norm), layer);
      return;
    }
    ggml_tensor* attended = attention(x, layer);
    if (kind_.logits == LogitsOf::kLastRow) {
      attended = last_row(attended);
      x = last_row(x);
    }
    x = feed_forward(ggml_add(c_, attended, x), layer);
    x = norm(x, model_.weights().output_norm);
    step_.logits = ggml_mul_mat(c_, model_.weights().output, x);
    ggml_set_output(step_.logits);
    run(step_.logits);
  }

  ggml_tensor* last_row(ggml_tensor* x) {
    return ggml_view_2d(c_, x, x->ne[0], 1, x->nb[1], (kind_.n_rows - 1) * x->nb[1]);
  }

  ggml_tensor* feed_forward(ggml_tensor* x, int layer) {
    const LlamaLayer& w = model_.weights().layers[layer];
    ggml_tensor* const normed = norm(x, w.ffn_norm);
    ggml_tensor* const up = ggml_mul_mat(c_, w.ffn_up, normed);
    ggml_tensor* const gate = ggml_mul_mat(c_, w.ffn_gate, normed);
    return ggml_add(c_, ggml_mul_mat(c_, w.ffn_down, ggml_swiglu_split(c_, gate, up)), x);
  }

  // x [n_embd, n] -> [n_embd, n]
  ggml_tensor* attention(ggml_tensor* x, int layer) {
    const LlamaLayer& w = model_.weights().layers[layer];
    ggml_tensor* const normed = norm(x, w.attention_norm);
    ggml_tensor* const query = ggml_reshape_3d(c_, ggml_mul_mat(c_, w.query, normed),
                                               shape_.head_dim, shape_.n_heads, kind_.n_rows);
    write_rows(normed, layer);
    ggml_tensor* const weights = attention_weights(query, layer);
    return ggml_mul_mat(c_, w.attention_out, weighted_values(weights, layer));
  }

  // The writes must be in the graph before the attention that reads them.
  void write_rows(ggml_tensor* normed, int layer) {
    const LlamaLayer& w = model_.weights().layers[layer];
    ggml_tensor* const key = ggml_mul_mat(c_, w.key, normed);      // [kv_width, n]
    ggml_tensor* const value = ggml_mul_mat(c_, w.value, normed);  // [kv_width, n]
    if (kind_.into_sinks) {
      ggml_tensor* const sinks =
          ggml_view_2d(c_, ring_.sink_keys, shape_.kv_width(), n_sinks_, ring_.sink_keys->nb[2],
                       layer * ring_.sink_keys->nb[1]);
      run(ggml_set_rows(c_, sinks, key, key_slots_));
    }
    ggml_tensor* const rotated = rotate(
        c_, model_, ggml_reshape_3d(c_, key, shape_.head_dim, shape_.n_kv_heads, kind_.n_rows),
        positions_);
    run(ggml_set_rows(c_, layer_of(ring_.keys, layer),
                      ggml_reshape_2d(c_, rotated, shape_.kv_width(), kind_.n_rows), key_slots_));
    const int64_t n_cells = ring_.values->ne[0] * ring_.values->ne[1];
    run(ggml_set_rows(c_, ggml_reshape_2d(c_, layer_of(ring_.values, layer), 1, n_cells),
                      ggml_reshape_2d(c_, value, 1, ggml_nelements(value)), value_cells_));
  }

  ggml_tensor* layer_of(ggml_tensor* all, int layer) {
    return ggml_view_2d(c_, all, all->ne[0], all->ne[1], all->nb[1], layer * all->nb[2]);
  }

  // query [head_dim, n_heads, n] -> softmax weights [n_slots, n * group, n_kv_heads]
  ggml_tensor* attention_weights(ggml_tensor* query, int layer) {
    ggml_tensor* scores = all_scores(query, layer);
    const int64_t n_columns = scores->ne[1];
    scores = ggml_reshape_4d(c_, scores, n_slots_, kind_.n_rows, shape_.heads_per_kv_head(),
                             shape_.n_kv_heads);
    scores = ggml_soft_max_ext(c_, scores, mask_, shape_.attention_scale, /*max_bias=*/0.F);
    return ggml_reshape_3d(c_, scores, n_slots_, n_columns, shape_.n_kv_heads);
  }

  ggml_tensor* all_scores(ggml_tensor* query, int layer) {
    ggml_tensor* const scores = scores_of(rotate(c_, model_, query, positions_), layer, n_slots_);
    if (!sinks_need_own_query()) return scores;
    ggml_tensor* const from_afar =
        scores_of(rotate(c_, model_, query, sink_query_positions_), layer, n_sinks_);
    // Written over the others' scores of the sinks, which costs less than joining the two.
    ggml_tensor* const written =
        ggml_cpy(c_, from_afar,
                 ggml_view_3d(c_, scores, n_sinks_, scores->ne[1], scores->ne[2], scores->nb[1],
                              scores->nb[2], 0));
    return ggml_view_3d(c_, written, scores->ne[0], scores->ne[1], scores->ne[2], scores->nb[1],
                        scores->nb[2], 0);
  }

  // The sinks lie right for the last row of a step; a row before it looks at them from elsewhere.
  bool sinks_need_own_query() const {
    return kind_.n_rows > 1 && n_sinks_ > 0 && !kind_.into_sinks;
  }

  // query [head_dim, n_heads, n] -> products with the first keys [n_keys, n * group, kv]
  ggml_tensor* scores_of(ggml_tensor* query, int layer, int64_t n_keys) {
    ggml_tensor* const keys =
        ggml_view_3d(c_, ring_.keys, shape_.head_dim, n_keys, shape_.n_kv_heads, ring_.keys->nb[1],
                     ggml_row_size(ring_.keys->type, shape_.head_dim), layer * ring_.keys->nb[2]);
    ggml_tensor* const scores = ggml_mul_mat(c_, keys, fold(query));
    ggml_prec_set_acc(scores, GGML_PREC_F32);
    return scores;
  }

  // [head_dim, n_heads, n] -> [head_dim, n * group, n_kv_heads], rows of a step next to each other
  ggml_tensor* fold(ggml_tensor* query) {
    const int64_t group = shape_.heads_per_kv_head();
    if (kind_.n_rows > 1) {
      query = ggml_reshape_4d(c_, query, shape_.head_dim, group, shape_.n_kv_heads, kind_.n_rows);
      query = ggml_cont(c_, ggml_permute(c_, query, 0, 2, 3, 1));
    }
    return ggml_reshape_3d(c_, query, shape_.head_dim, kind_.n_rows * group, shape_.n_kv_heads);
  }

  // weights [n_slots, n * group, kv] -> [query_width, n]
  ggml_tensor* weighted_values(ggml_tensor* weights, int layer) {
    const int64_t group = shape_.heads_per_kv_head();
    ggml_tensor* const values = ggml_view_3d(
        c_, ring_.values, n_slots_, shape_.head_dim, shape_.n_kv_heads, ring_.values->nb[1],
        shape_.head_dim * ring_.values->nb[1], layer * ring_.values->nb[2]);
    ggml_tensor* mixed = ggml_mul_mat(c_, values, weights);  // [head_dim, n * group, kv]
    if (kind_.n_rows > 1) {
      mixed = ggml_reshape_4d(c_, mixed, shape_.head_dim, kind_.n_rows, group, shape_.n_kv_heads);
      mixed = ggml_cont(c_, ggml_permute(c_, mixed, 0, 3, 1, 2));
    }
    return ggml_reshape_2d(c_, mixed, shape_.query_width(), kind_.n_rows);
  }

  const GgufModel& model_;
  const LlamaShape& shape_;
  const KvRing& ring_;
  const StepInputs& inputs_;
  const StepKind kind_;
  const int64_t n_slots_;
  const int64_t n_sinks_;
  ggml_context* const c_;
  StepGraph& step_;
  ggml_tensor* const positions_;
  ggml_tensor* const sink_query_positions_;
  ggml_tensor* const key_slots_;
  ggml_tensor* const value_cells_;
  ggml_tensor* const mask_;
};

}  // namespace

StepGraph build_step_graph(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                           const StepInputs& inputs, StepKind kind) {
  StepGraph step = make_graph(model.shape().n_layers);
  Builder(model, plan, ring, inputs, kind, step).build();
  return step;
}

StepGraph build_rebase_graph(const GgufModel& model, const KvRing& ring, const StepInputs& inputs) {
  const LlamaShape& s = model.shape();
  StepGraph step = make_graph(s.n_layers);
  ggml_context* const c = step.context.get();
  // As if all were heads of one row: one position, so sines and cosines are computed once.
  const int64_t n_heads = int64_t{s.n_kv_heads} * ring.keys->ne[1] * ring.keys->ne[2];
  ggml_tensor* const keys = ggml_reshape_3d(c, ring.keys, s.head_dim, n_heads, 1);
  ggml_build_forward_expand(step.graph,
                            rotate(c, model, keys, inputs.rebase_turn, /*in_place=*/true));
  return step;
}

}  // namespace edgestream
