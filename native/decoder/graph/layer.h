// SPDX-License-Identifier: Apache-2.0
// A decoder's layers as nodes of a graph: everything but the attention over the ring.
#pragma once

#include "decoder/file/gguf_model.h"

namespace edgestream {

/// Adds the nodes of a model's layers to a graph's context, in libllama's order of operations, so
/// that results are equal to the bit. Shapes are ggml's: the fastest dimension first; n is the
/// number of rows.
class LayerBuilder {
 public:
  /// `delay` in steps, of a model whose layers depend on it.
  LayerBuilder(ggml_context* context, const GgufModel& model, int delay = 0)
      : c_(context), model_(model), shape_(model.shape()), delay_(delay) {}

  /// What the projections of attention read, of the rows x [n_embd, n].
  ggml_tensor* attention_input(ggml_tensor* x, int layer) const;
  /// [head_dim, n_heads, n], before rotation.
  ggml_tensor* query(ggml_tensor* input, int layer) const;
  /// [head_dim, n_kv_heads, n], before rotation.
  ggml_tensor* key(ggml_tensor* input, int layer) const;
  /// [kv_width, n]
  ggml_tensor* value(ggml_tensor* input, int layer) const;

  /// Queries or keys x [head_dim, any, n] as they are at positions [n * position_parts]; x itself
  /// in a layer that does not rotate.
  ggml_tensor* rotate(ggml_tensor* x, ggml_tensor* positions, int layer) const;
  /// Rotates queries and brings them to the size that products with keys need.
  ggml_tensor* rotate_query(ggml_tensor* x, ggml_tensor* positions, int layer) const;
  /// Moves rotated keys x [head_dim, any, n] on by `turn` [n * position_parts].
  ggml_tensor* turn_on(ggml_tensor* x, ggml_tensor* turn, int layer, bool in_place) const;

  /// Heads' mixed values [query_width, n] -> what attention adds to the rows [n_embd, n].
  ggml_tensor* attention_output(ggml_tensor* mixed, int layer) const;
  /// The rows after attention x [n_embd, n] -> the rows after the layer.
  ggml_tensor* feed_forward(ggml_tensor* x, int layer) const;
  /// [n_vocab, n]
  ggml_tensor* logits(ggml_tensor* x) const;

 private:
  bool multiplies_apart(int64_t n_rows) const;
  ggml_tensor* norm(ggml_tensor* x, ggml_tensor* weight) const;
  ggml_tensor* scale_by_delay(ggml_tensor* x, ggml_tensor* scales) const;
  ggml_tensor* project(ggml_tensor* weight, ggml_tensor* bias, ggml_tensor* input) const;
  ggml_tensor* heads(ggml_tensor* projected, int n_heads, ggml_tensor* norm_weight) const;
  ggml_tensor* rope(ggml_tensor* x, ggml_tensor* positions, const RopeShape& rope, float magnitude,
                    bool in_place) const;
  const LayerWeights& weights(int layer) const { return model_.weights().layers[layer]; }

  ggml_context* const c_;
  const GgufModel& model_;
  const ModelShape& shape_;
  const int delay_;
};

}  // namespace edgestream
