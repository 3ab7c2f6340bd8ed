// SPDX-License-Identifier: Apache-2.0
// Hyper-parameters of a decoder, as GGUF metadata states them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "decoder/file/architecture.h"
#include "decoder/file/gguf_file.h"

namespace edgestream {

/// How queries and keys are turned by their position (Su et al. 2021, "RoFormer").
struct RopeShape {
  float base;   // "theta"
  float scale;  // factor on positions: 1, or below 1 for linear scaling
  // YaRN (Peng et al. 2023): fast frequencies keep their speed, slow ones are scaled.
  bool yarn = false;
  int n_trained_rows = 0;  // length of the context before it was extended

  bool operator==(const RopeShape&) const = default;
};

/// In what a layer can differ from its neighbours.
struct LayerShape {
  std::optional<RopeShape> rope;  // nothing: attention does not know positions
  bool local = false;             // sees only what is nearer than the model's local reach

  bool operator==(const LayerShape&) const = default;
};

/// `n_layers` layers from `first` on.
struct LayerRun {
  int first;
  int n_layers;
};

/// Of a layer's numbers by which rows are scaled before the feed-forward: one column for each delay
/// of a stream in steps. What adaptive norms (Voxtral Realtime) make of a delay is known
/// beforehand, so files hold the result: 1 + W2 gelu(W1 t), t the sinusoids of the delay. libllama
/// has no such tensor.
inline constexpr const char* kDelayScale = "ffn_delay_scale";

/// All within ranges that make every product of them fit; head counts divide one another.
struct ModelShape {
  const Architecture* architecture;
  int n_layers;
  int n_embd;
  int n_ff;
  int n_heads;
  int n_kv_heads;
  int head_dim;  // even; all of it is rotated
  int n_vocab;
  int n_deepstack;  // layers behind each of which a part of its own is added to a row
  int n_delays;  // that a stream may have, in steps from 0 on; 0: the model does not know its delay
  float rms_epsilon;
  int local_reach;        // distance from which on local layers see nothing; 0: none is local
  float token_scale;      // factor on token embeddings
  float query_scale;      // factor on rotated queries
  float attention_scale;  // factor on query-key products
  std::array<int, GGML_MROPE_SECTIONS> rope_sections;  // pairs per axis; none without axes
  std::vector<LayerShape> layers;

  /// Numbers in an input row: n_embd for the first layer, then as many for each deepstack layer
  /// (Meng et al. 2024, "DeepStack"); zeros in a token's.
  int row_width() const { return n_embd * (1 + n_deepstack); }
  int query_width() const { return n_heads * head_dim; }
  int kv_width() const { return n_kv_heads * head_dim; }
  /// Numbers in a position: time, height, width and one that no axis uses, or one alone.
  int position_parts() const { return architecture->multi_axis ? GGML_MROPE_SECTIONS : 1; }
  int heads_per_kv_head() const { return n_heads / n_kv_heads; }
  /// Runs of neighbouring layers that are rotated alike, so that one operation turns a run; layers
  /// without rotation are in none.
  std::vector<LayerRun> rope_runs() const;
};

/// Throws std::invalid_argument on another architecture, an option that is not implemented, or a
/// value out of range; the message says what was met and what is supported.
ModelShape read_model_shape(const GgufFile& file);

}  // namespace edgestream
