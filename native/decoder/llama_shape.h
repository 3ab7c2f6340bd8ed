// SPDX-License-Identifier: Apache-2.0
// Hyper-parameters of a decoder of the llama architecture, as GGUF metadata states them.
#pragma once

#include <cstdint>

#include "decoder/gguf_file.h"

namespace edgestream {

/// All within ranges that make every product of them fit; head counts divide one another.
struct LlamaShape {
  int n_layers;
  int n_embd;
  int n_ff;
  int n_heads;
  int n_kv_heads;
  int head_dim;  // even; all of it is rotated
  int n_vocab;
  float rms_epsilon;
  float rope_base;        // Hz-like base of the rotation, "theta"
  float rope_scale;       // factor on positions: 1, or below 1 for linear scaling
  float attention_scale;  // factor on query-key products

  int query_width() const { return n_heads * head_dim; }
  int kv_width() const { return n_kv_heads * head_dim; }
  int heads_per_kv_head() const { return n_heads / n_kv_heads; }
};

/// Throws std::invalid_argument on another architecture, an option that is not implemented, or a
/// value out of range; the message says what was met and what is supported.
LlamaShape read_llama_shape(const GgufFile& file);

}  // namespace edgestream
