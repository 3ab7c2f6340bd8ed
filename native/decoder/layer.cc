// SPDX-License-Identifier: Apache-2.0
#include "decoder/layer.h"

namespace edgestream {

ggml_tensor* LayerBuilder::norm(ggml_tensor* x, ggml_tensor* weight) const {
  return ggml_mul(c_, ggml_rms_norm(c_, x, shape_.rms_epsilon), weight);
}

ggml_tensor* LayerBuilder::attention_input(ggml_tensor* x, int layer) const {
  return norm(x, weights(layer).attention_norm);
}

ggml_tensor* LayerBuilder::query(ggml_tensor* input, int layer) const {
  return ggml_reshape_3d(c_, ggml_mul_mat(c_, weights(layer).query, input), shape_.head_dim,
                         shape_.n_heads, input->ne[1]);
}

ggml_tensor* LayerBuilder::key(ggml_tensor* input, int layer) const {
  return ggml_reshape_3d(c_, ggml_mul_mat(c_, weights(layer).key, input), shape_.head_dim,
                         shape_.n_kv_heads, input->ne[1]);
}

ggml_tensor* LayerBuilder::value(ggml_tensor* input, int layer) const {
  return ggml_mul_mat(c_, weights(layer).value, input);
}

ggml_tensor* LayerBuilder::rotate(ggml_tensor* x, ggml_tensor* positions, int layer,
                                  bool in_place) const {
  // No YaRN: its factors below switch it off.
  constexpr float kExtrapolation = 0.F, kMagnitude = 1.F, kBetaFast = 0.F, kBetaSlow = 0.F;
  constexpr int kContextUnused = 0;
  const RopeShape& rope = *shape_.layers[layer].rope;
  const auto turn = in_place ? ggml_rope_ext_inplace : ggml_rope_ext;
  return turn(c_, x, positions, model_.weights().rope_factors, shape_.head_dim,
              GGML_ROPE_TYPE_NORMAL, kContextUnused, rope.base, rope.scale, kExtrapolation,
              kMagnitude, kBetaFast, kBetaSlow);
}

ggml_tensor* LayerBuilder::attention_output(ggml_tensor* mixed, int layer) const {
  return ggml_mul_mat(c_, weights(layer).attention_out, mixed);
}

ggml_tensor* LayerBuilder::feed_forward(ggml_tensor* x, int layer) const {
  const LayerWeights& w = weights(layer);
  ggml_tensor* const normed = norm(x, w.ffn_norm);
  ggml_tensor* const up = ggml_mul_mat(c_, w.ffn_up, normed);
  ggml_tensor* const gate = ggml_mul_mat(c_, w.ffn_gate, normed);
  return ggml_add(c_, ggml_mul_mat(c_, w.ffn_down, ggml_swiglu_split(c_, gate, up)), x);
}

ggml_tensor* LayerBuilder::logits(ggml_tensor* x) const {
  return ggml_mul_mat(c_, model_.weights().output, norm(x, model_.weights().output_norm));
}

}  // namespace edgestream
