// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/step_graph.h"

#include <algorithm>

#include "decoder/graph/attention_sums.h"
#include "decoder/graph/layer.h"
#include "decoder/graph/row_writer.h"

namespace edgestream {

namespace {

// Builds one graph. Shapes in comments are ggml's: the fastest dimension first.
class Builder {
 public:
  Builder(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
          const StepInputs& inputs, StepKind kind, std::span<const SlotSpan> reads,
          const RingDecoderConfig& config, Graph& step)
      : shape_(model.shape()),
        ring_(ring),
        inputs_(inputs),
        plan_(plan),
        kind_(kind),
        attention_layers_(config.attention_layers),
        exit_layer_(config.exit_layer),
        reads_(reads),
        n_columns_(reads.back().first_column + reads.back().n),
        n_sinks_(plan.shape().n_sinks),
        c_(step.context.get()),
        layers_(c_, model, config.delay),
        sums_(c_, model.shape(), kind.n_rows),
        step_(step),
        writer_(layers_, shape_, ring, inputs, kind, step),
        n_parts_(shape_.position_parts()),
        positions_(positions_of_rows(inputs.positions)),
        sink_query_positions_(positions_of_rows(inputs.sink_query_positions)),
        mask_(first_columns(inputs.mask)),
        local_mask_(inputs.local_mask == nullptr ? nullptr : first_columns(inputs.local_mask)) {}

  void build() {
    const int last = shape_.n_layers - 1;
    switch (kind_.part) {
      case StepPart::kWhole:
        last_layer(through(embeddings(), 0, last));
        break;
      case StepPart::kFront:
        offer_exit(through(embeddings(), 0, exit_layer_));
        break;
      case StepPart::kBack:
        last_layer(through(at_exit(), exit_layer_, last));
        break;
      case StepPart::kFill:
        for (int layer = exit_layer_; layer <= last; ++layer) {
          writer_.write(layers_.attention_input(at_exit(), layer), layer);
        }
    }
    sums_.finish(step_);
  }

 private:
  ggml_tensor* positions_of_rows(ggml_tensor* all) {
    return ggml_view_1d(c_, all, int64_t{kind_.n_rows} * n_parts_, 0);
  }

  ggml_tensor* first_columns(ggml_tensor* mask) {
    return ggml_view_2d(c_, mask, n_columns_, kind_.n_rows, n_columns_ * mask->nb[0], 0);
  }

  void output(ggml_tensor* node) {
    ggml_set_output(node);
    step_.run(node);
  }

  // Where a step begins. Before attention sinks, too, they are placed: a proposal that was not kept
  // may have turned those that there are.
  ggml_tensor* embeddings() {
    if (n_sinks_ > 0) writer_.place_sinks();
    return first_rows(inputs_.embeddings);
  }

  ggml_tensor* at_exit() { return first_rows(inputs_.at_exit); }

  ggml_tensor* first_rows(ggml_tensor* rows) {
    return ggml_view_2d(c_, rows, shape_.n_embd, kind_.n_rows, rows->nb[1], 0);
  }

  // The rows x [n_embd, n] after the layers from `first` up to `last`, which is not among them.
  ggml_tensor* through(ggml_tensor* x, int first, int last) {
    for (int layer = first; layer < last; ++layer) {
      x = layers_.feed_forward(ggml_add(c_, attention(x, layer), x), layer);
      if (layer < shape_.n_deepstack) x = ggml_add(c_, x, deepstack_part(layer));
      x = but_exited(x);
    }
    return x;
  }

  // What the input rows add behind a layer.
  ggml_tensor* deepstack_part(int layer) {
    ggml_tensor* const rows = inputs_.embeddings;
    const size_t first = (layer + 1) * shape_.n_embd * rows->nb[0];
    return ggml_view_2d(c_, rows, shape_.n_embd, kind_.n_rows, rows->nb[1], first);
  }

  // In a step of which some rows go on, those that exited stay as they were at the exit: the layers
  // behind it make their keys and values of that (CALM's state propagation).
  ggml_tensor* but_exited(ggml_tensor* x) {
    if (kind_.part != StepPart::kBack || kind_.n_rows == 1) return x;
    ggml_tensor* const sources = ggml_view_1d(c_, inputs_.sources, kind_.n_rows, 0);
    return ggml_get_rows(c_, ggml_concat(c_, x, at_exit(), 1), sources);
  }

  // What the output layer says of the rows before the last layers have seen them; and the rows
  // themselves, kept where no other graph writes.
  void offer_exit(ggml_tensor* x) {
    step_.run(ggml_cpy(c_, x, at_exit()));
    step_.logits = layers_.logits(x);
    output(step_.logits);
    step_.probabilities = ggml_soft_max(c_, step_.logits);
    output(step_.probabilities);
  }

  // Nothing is asked of an ingesting step beyond the last layer's keys and values, and its
  // attention where that is counted; otherwise only rows that get logits go on.
  void last_layer(ggml_tensor* x) {
    const int layer = shape_.n_layers - 1;
    if (kind_.logits == LogitsOf::kNone) {
      ggml_tensor* const input = layers_.attention_input(x, layer);
      writer_.write(input, layer);
      if (plan_.counts_mass()) attention_weights(layers_.query(input, layer), layer);
      return;
    }
    ggml_tensor* attended = attention(x, layer);
    if (kind_.logits == LogitsOf::kLastRow) {
      attended = last_row(attended);
      x = last_row(x);
    }
    step_.logits = layers_.logits(layers_.feed_forward(ggml_add(c_, attended, x), layer));
    output(step_.logits);
  }

  ggml_tensor* last_row(ggml_tensor* x) {
    return ggml_view_2d(c_, x, x->ne[0], 1, x->nb[1], (kind_.n_rows - 1) * x->nb[1]);
  }

  // x [n_embd, n] -> [n_embd, n]
  ggml_tensor* attention(ggml_tensor* x, int layer) {
    ggml_tensor* const input = layers_.attention_input(x, layer);
    ggml_tensor* const query = layers_.query(input, layer);
    writer_.write(input, layer);
    ggml_tensor* const weights = attention_weights(query, layer);
    const bool captured = std::ranges::count(attention_layers_, layer) > 0;
    if (captured && kind_.logits != LogitsOf::kNone) sums_.add_last_row(weights);
    return layers_.attention_output(weighted_values(weights, layer), layer);
  }

  // query [head_dim, n_heads, n] -> softmax weights [n_columns, n * group, n_kv_heads]
  ggml_tensor* attention_weights(ggml_tensor* query, int layer) {
    ggml_tensor* scores = all_scores(query, layer);
    const int64_t n_queries = scores->ne[1];
    scores = ggml_reshape_4d(c_, scores, n_columns_, kind_.n_rows, shape_.heads_per_kv_head(),
                             shape_.n_kv_heads);
    scores = ggml_soft_max_ext(c_, scores, shape_.layers[layer].local ? local_mask_ : mask_,
                               shape_.attention_scale, /*max_bias=*/0.F);
    scores = ggml_reshape_3d(c_, scores, n_columns_, n_queries, shape_.n_kv_heads);
    if (plan_.counts_mass() && !kind_.into_sinks) sums_.add_all_rows(scores);
    return scores;
  }

  // Each clock's keys, and the sinks, are looked at from where the row lies for them. Regions after
  // the first are written over what lies behind it, which costs less than joining them.
  ggml_tensor* all_scores(ggml_tensor* query, int layer) {
    const bool turns = shape_.layers[layer].rope && !kind_.into_sinks;
    ggml_tensor* looking = layers_.rotate_query(query, looks_from(0), layer);
    ggml_tensor* const scores = scores_of(looking, layer, 0, n_columns_);
    for (size_t region = 1; !kind_.into_sinks && region < reads_.size(); ++region) {
      const SlotSpan& read = reads_[region];
      if (turns && plan_.n_clocks() > 1) {
        looking = layers_.rotate_query(query, looks_from(static_cast<int>(region)), layer);
      }
      overwrite(scores, scores_of(looking, layer, read.first_slot, read.n), read.first_column);
    }
    // With one clock the sinks lie right for the last row of a step, and for all rows where those
    // that leave are not the oldest.
    const bool lie_right = plan_.n_clocks() == 1 && (kind_.n_rows == 1 || plan_.counts_mass());
    if (turns && n_sinks_ > 0 && !lie_right) {
      ggml_tensor* const from_afar = layers_.rotate_query(query, sink_query_positions_, layer);
      overwrite(scores, scores_of(from_afar, layer, 0, n_sinks_), 0);
    }
    return scores;
  }

  // RoPE positions [n * parts] from which the rows look at the keys of a clock.
  ggml_tensor* looks_from(int clock) {
    if (inputs_.query_positions.empty()) return positions_;
    return positions_of_rows(inputs_.query_positions[clock]);
  }

  // Puts `part` in the place of the scores in the columns from `first` on, before any read them.
  void overwrite(ggml_tensor* scores, ggml_tensor* part, int64_t first) {
    step_.run(ggml_cpy(c_, part,
                       ggml_view_3d(c_, scores, part->ne[0], scores->ne[1], scores->ne[2],
                                    scores->nb[1], scores->nb[2], first * scores->nb[0])));
  }

  // query [head_dim, n_heads, n] -> products with the keys of some slots [n_keys, n * group, kv]
  ggml_tensor* scores_of(ggml_tensor* query, int layer, int64_t first_slot, int64_t n_keys) {
    ggml_tensor* const keys =
        ggml_view_3d(c_, ring_.keys, shape_.head_dim, n_keys, shape_.n_kv_heads, ring_.keys->nb[1],
                     ggml_row_size(ring_.keys->type, shape_.head_dim),
                     layer * ring_.keys->nb[2] + first_slot * ring_.keys->nb[1]);
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

  // weights [n_columns, n * group, kv] -> [query_width, n]
  ggml_tensor* weighted_values(ggml_tensor* weights, int layer) {
    const int64_t group = shape_.heads_per_kv_head();
    ggml_tensor* mixed = mixed_values(weights, layer);  // [head_dim, n * group, kv]
    if (kind_.n_rows > 1) {
      mixed = ggml_reshape_4d(c_, mixed, shape_.head_dim, kind_.n_rows, group, shape_.n_kv_heads);
      mixed = ggml_cont(c_, ggml_permute(c_, mixed, 0, 3, 1, 2));
    }
    return ggml_reshape_2d(c_, mixed, shape_.query_width(), kind_.n_rows);
  }

  ggml_tensor* mixed_values(ggml_tensor* weights, int layer) {
    ggml_tensor* mixed = nullptr;
    for (const SlotSpan& read : reads_) {
      ggml_tensor* const own =
          reads_.size() == 1
              ? weights
              : ggml_view_3d(c_, weights, read.n, weights->ne[1], weights->ne[2], weights->nb[1],
                             weights->nb[2], read.first_column * weights->nb[0]);
      ggml_tensor* const part = values_of(own, layer, read);
      mixed = mixed == nullptr ? part : ggml_add(c_, mixed, part);
    }
    return mixed;
  }

  // weights [n, n * group, kv] of the slots `read` -> what they take of the values
  ggml_tensor* values_of(ggml_tensor* weights, int layer, const SlotSpan& read) {
    ggml_tensor* const values = layer_of(c_, ring_.values, layer);
    if (ring_.transposes_values()) {
      ggml_tensor* const by_head =
          ggml_view_3d(c_, values, read.n, shape_.head_dim, shape_.n_kv_heads, values->nb[1],
                       shape_.head_dim * values->nb[1], read.first_slot * values->nb[0]);
      return ggml_mul_mat(c_, by_head, weights);
    }
    // Row by row: to turn all of them over in every step takes several times as long.
    ggml_tensor* const by_head =
        ggml_view_3d(c_, values, shape_.head_dim, read.n, shape_.n_kv_heads, values->nb[1],
                     ggml_row_size(values->type, shape_.head_dim), read.first_slot * values->nb[1]);
    return ggml_out_prod(c_, by_head, ggml_transpose(c_, weights));
  }

  const ModelShape& shape_;
  const KvRing& ring_;
  const StepInputs& inputs_;
  const RingPlan& plan_;
  const StepKind kind_;
  const std::span<const int> attention_layers_;
  const int exit_layer_;
  const std::span<const SlotSpan> reads_;
  const int64_t n_columns_;
  const int64_t n_sinks_;
  ggml_context* const c_;
  const LayerBuilder layers_;
  AttentionSums sums_;
  Graph& step_;
  RowWriter writer_;
  const int n_parts_;
  ggml_tensor* const positions_;
  ggml_tensor* const sink_query_positions_;
  ggml_tensor* const mask_;
  ggml_tensor* const local_mask_;
};

}  // namespace

Graph build_step_graph(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                       const StepInputs& inputs, StepKind kind, std::span<const SlotSpan> reads,
                       const RingDecoderConfig& config) {
  Graph step(model.shape().n_layers);
  Builder(model, plan, ring, inputs, kind, reads, config, step).build();
  return step;
}

}  // namespace edgestream
