// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/layer.h"

#include <cmath>

namespace edgestream {

namespace {

// Where YaRN's frequencies begin and end to keep their speed, in turns over the trained context.
constexpr float kBetaFast = 32.F, kBetaSlow = 1.F;

// ggml makes what YaRN rotates larger by this factor.
float yarn_growth(const RopeShape& rope) { return 1.F + 0.1F * std::log(1.F / rope.scale); }

}  // namespace

ggml_tensor* LayerBuilder::norm(ggml_tensor* x, ggml_tensor* weight) const {
  return ggml_mul(c_, ggml_rms_norm(c_, x, shape_.rms_epsilon), weight);
}

ggml_tensor* LayerBuilder::scale_by_delay(ggml_tensor* x, ggml_tensor* scales) const {
  if (scales == nullptr) return x;
  return ggml_mul(c_, x, ggml_view_1d(c_, scales, shape_.n_embd, delay_ * scales->nb[1]));
}

ggml_tensor* LayerBuilder::attention_input(ggml_tensor* x, int layer) const {
  return norm(x, weights(layer).attention_norm);
}

ggml_tensor* LayerBuilder::project(ggml_tensor* weight, ggml_tensor* bias,
                                   ggml_tensor* input) const {
  ggml_tensor* const product = ggml_mul_mat(c_, weight, input);
  return bias == nullptr ? product : ggml_add(c_, product, bias);
}

ggml_tensor* LayerBuilder::heads(ggml_tensor* projected, int n_heads,
                                 ggml_tensor* norm_weight) const {
  ggml_tensor* const cut =
      ggml_reshape_3d(c_, projected, shape_.head_dim, n_heads, projected->ne[1]);
  return norm_weight == nullptr ? cut : norm(cut, norm_weight);
}

ggml_tensor* LayerBuilder::query(ggml_tensor* input, int layer) const {
  const LayerWeights& w = weights(layer);
  return heads(project(w.query, w.query_bias, input), shape_.n_heads, w.query_norm);
}

ggml_tensor* LayerBuilder::key(ggml_tensor* input, int layer) const {
  const LayerWeights& w = weights(layer);
  return heads(project(w.key, w.key_bias, input), shape_.n_kv_heads, w.key_norm);
}

ggml_tensor* LayerBuilder::value(ggml_tensor* input, int layer) const {
  return project(weights(layer).value, weights(layer).value_bias, input);
}

ggml_tensor* LayerBuilder::rope(ggml_tensor* x, ggml_tensor* positions, const RopeShape& rope,
                                float magnitude, bool in_place) const {
  const Architecture& a = *shape_.architecture;
  const float extrapolation = rope.yarn ? 1.F : 0.F;
  ggml_tensor* const factors = model_.weights().rope_factors;
  if (a.multi_axis) {
    auto sections = shape_.rope_sections;
    const auto turn = in_place ? ggml_rope_multi_inplace : ggml_rope_multi;
    return turn(c_, x, positions, factors, shape_.head_dim, sections.data(),
                a.interleaves_axes ? GGML_ROPE_TYPE_IMROPE : GGML_ROPE_TYPE_MROPE,
                rope.n_trained_rows, rope.base, rope.scale, extrapolation, magnitude, kBetaFast,
                kBetaSlow);
  }
  const auto turn = in_place ? ggml_rope_ext_inplace : ggml_rope_ext;
  return turn(c_, x, positions, factors, shape_.head_dim,
              a.pairs_halves ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL, rope.n_trained_rows,
              rope.base, rope.scale, extrapolation, magnitude, kBetaFast, kBetaSlow);
}

ggml_tensor* LayerBuilder::rotate(ggml_tensor* x, ggml_tensor* positions, int layer) const {
  const auto& shape = shape_.layers[layer].rope;
  if (!shape) return x;
  // libllama's own product, which is 1 but for rounding: what YaRN grows by is meant to be there.
  const float magnitude = shape->yarn ? yarn_growth(*shape) * (1.F / yarn_growth(*shape)) : 1.F;
  return rope(x, positions, *shape, magnitude, /*in_place=*/false);
}

ggml_tensor* LayerBuilder::rotate_query(ggml_tensor* x, ggml_tensor* positions, int layer) const {
  ggml_tensor* const rotated = rotate(x, positions, layer);
  return shape_.query_scale == 1.F ? rotated : ggml_scale(c_, rotated, shape_.query_scale);
}

// A key that is turned a second time must not grow a second time.
ggml_tensor* LayerBuilder::turn_on(ggml_tensor* x, ggml_tensor* turn, int layer,
                                   bool in_place) const {
  const RopeShape& shape = *shape_.layers[layer].rope;
  const float magnitude = shape.yarn ? 1.F / yarn_growth(shape) : 1.F;
  return rope(x, turn, shape, magnitude, in_place);
}

ggml_tensor* LayerBuilder::attention_output(ggml_tensor* mixed, int layer) const {
  const LayerWeights& w = weights(layer);
  ggml_tensor* const output = ggml_mul_mat(c_, w.attention_out, mixed);
  return w.attention_post_norm == nullptr ? output : norm(output, w.attention_post_norm);
}

ggml_tensor* LayerBuilder::feed_forward(ggml_tensor* x, int layer) const {
  const LayerWeights& w = weights(layer);
  ggml_tensor* const normed = scale_by_delay(norm(x, w.ffn_norm), w.ffn_delay_scale);
  ggml_tensor* const up = ggml_mul_mat(c_, w.ffn_up, normed);
  ggml_tensor* const gate = ggml_mul_mat(c_, w.ffn_gate, normed);
  const auto gated = shape_.architecture->gelu ? ggml_geglu_split : ggml_swiglu_split;
  ggml_tensor* const down = ggml_mul_mat(c_, w.ffn_down, gated(c_, gate, up));
  return ggml_add(c_, w.ffn_post_norm == nullptr ? down : norm(down, w.ffn_post_norm), x);
}

// ggml's product of a few quantized rows on the CPU takes longer than as many products of one: 2.5
// times for two rows, and about as long for eight.
bool LayerBuilder::multiplies_apart(int64_t n_rows) const {
  constexpr int64_t kFewRows = 8;
  return n_rows > 1 && n_rows <= kFewRows && ggml_is_quantized(model_.weights().output->type) &&
         ggml_backend_dev_type(model_.device()) == GGML_BACKEND_DEVICE_TYPE_CPU;
}

ggml_tensor* LayerBuilder::logits(ggml_tensor* x) const {
  ggml_tensor* const output = model_.weights().output;
  ggml_tensor* const normed = norm(x, model_.weights().output_norm);
  const int64_t n_rows = normed->ne[1];
  if (!multiplies_apart(n_rows)) return ggml_mul_mat(c_, output, normed);
  ggml_tensor* const apart = ggml_reshape_3d(c_, normed, normed->ne[0], 1, n_rows);
  return ggml_reshape_2d(c_, ggml_mul_mat(c_, output, apart), output->ne[1], n_rows);
}

}  // namespace edgestream
