// SPDX-License-Identifier: Apache-2.0
// The weights of a decoder: read once, never changed, shared by every stream that uses them.
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ring/checksum.h"
#include "decoder/device/device.h"
#include "decoder/file/gguf_file.h"
#include "decoder/file/model_shape.h"

namespace edgestream {

/// Matrices are [input, output] in ggml's order; vectors are float32. Null: the architecture, or
/// this file where the architecture leaves it open, has none.
struct LayerWeights {
  ggml_tensor* attention_norm;       // [n_embd]
  ggml_tensor* query;                // [n_embd, query_width]
  ggml_tensor* key;                  // [n_embd, kv_width]
  ggml_tensor* value;                // [n_embd, kv_width]
  ggml_tensor* query_bias;           // [query_width], or null
  ggml_tensor* key_bias;             // [kv_width], or null
  ggml_tensor* value_bias;           // [kv_width], or null
  ggml_tensor* query_norm;           // [head_dim], or null
  ggml_tensor* key_norm;             // [head_dim], or null
  ggml_tensor* attention_out;        // [query_width, n_embd]
  ggml_tensor* attention_post_norm;  // [n_embd], or null
  ggml_tensor* ffn_norm;             // [n_embd]
  ggml_tensor* ffn_delay_scale;      // [n_embd, n_delays], or null
  ggml_tensor* ffn_gate;             // [n_embd, n_ff]
  ggml_tensor* ffn_up;               // [n_embd, n_ff]
  ggml_tensor* ffn_down;             // [n_ff, n_embd]
  ggml_tensor* ffn_post_norm;        // [n_embd], or null
};

struct ModelWeights {
  std::vector<LayerWeights> layers;
  ggml_tensor* output_norm;   // [n_embd]
  ggml_tensor* output;        // [n_embd, n_vocab]
  ggml_tensor* rope_factors;  // [head_dim / 2], or null
};

/// A GGUF file of a supported architecture with its weights on a device. Immutable: may be shared
/// between threads.
class GgufModel {
 public:
  /// Reads the file at `path`. Everything is checked before weights are read: throws
  /// std::invalid_argument, naming file, finding and what is supported, on a file that is damaged,
  /// of another architecture, or has tensors that this decoder does not know; std::runtime_error
  /// when memory or the device fails. `device` as in find_device().
  explicit GgufModel(const std::string& path, const std::string& device = kCpuDevice);

  const ModelShape& shape() const { return shape_; }
  const ModelWeights& weights() const { return weights_; }
  ggml_backend_dev_t device() const { return device_; }
  size_t weight_bytes() const;
  /// A checksum of metadata and weights, to tell models apart.
  uint64_t fingerprint() const { return fingerprint_.value(); }

  /// Writes the input row of `token` to `out` [row_width], zeros for deepstack layers. Throws
  /// std::invalid_argument on a token that does not exist or a wrong width.
  void token_embedding(int32_t token, std::span<float> out) const;

  /// The tokenizer's text of every token, as it stands in the file; empty when it has none.
  const std::vector<std::string>& token_texts() const { return token_texts_; }

  /// The value of any key of the file, or nothing.
  std::optional<MetadataValue> metadata(const std::string& key) const { return file_.find(key); }

 private:
  ggml_tensor* claim(const std::string& name, std::initializer_list<int64_t> shape);
  ggml_tensor* claim_if(bool wanted, const std::string& name, std::initializer_list<int64_t> shape);
  ggml_tensor* claim_if_there(bool allowed, const std::string& name,
                              std::initializer_list<int64_t> shape);
  ggml_tensor* claim_delay_scale(const std::string& name);
  void describe_weights();
  LayerWeights describe_layer(int index);
  void refuse_unknown_tensors() const;
  void read_token_texts();
  void read_head(std::ifstream& stream);
  void read_weights();
  void read_token_rows();

  const GgufFile file_;
  const ModelShape shape_;
  const ggml_backend_dev_t device_;
  ContextHandle context_;  // descriptions of the weights
  BufferHandle buffer_;    // their data, on the device
  BufferHandle repacked_;  // of matrices with interleaved rows; may be null
  Checksum fingerprint_;
  ModelWeights weights_;
  const TensorEntry* token_rows_entry_ = nullptr;
  std::vector<std::byte> token_rows_;  // token_embd as stored, on the host
  size_t token_row_bytes_ = 0;
  std::vector<std::string> token_texts_;
};

}  // namespace edgestream
