// SPDX-License-Identifier: Apache-2.0
// A tiny random llama as a GGUF file, for the tests of the decoder.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "decoder/device/ggml_handles.h"

namespace edgestream {

constexpr int kTinyEmbd = 64;
constexpr int kTinyVocab = 48;

/// Writes float16 matrices and float32 vectors through ggml's own writer; the file goes with it.
class TinyGguf {
 public:
  /// Heads of 32 suit quantized keys; with `n_heads` 4 they are too narrow for them. With
  /// `n_deepstack` 1 it is a qwen3vl whose rows are twice as wide.
  explicit TinyGguf(const std::string& name, int n_heads = 2, int n_deepstack = 0)
      : path_(std::filesystem::temp_directory_path() / name),
        architecture_(n_deepstack > 0 ? "qwen3vl" : "llama"),
        gguf_(gguf_init_empty()) {
    constexpr int kLayers = 2, kFf = 96, kTensors = 64;
    context_ = make_context(kTensors);
    gguf_set_val_str(gguf_.get(), "general.architecture", architecture_.c_str());
    set("block_count", kLayers);
    set("embedding_length", kTinyEmbd);
    set("feed_forward_length", kFf);
    set("attention.head_count", n_heads);
    set("attention.head_count_kv", n_heads / 2);
    gguf_set_val_f32(gguf_.get(), (architecture_ + ".attention.layer_norm_rms_epsilon").c_str(),
                     1e-5F);
    const int head_dim = kTinyEmbd / n_heads, kv_width = head_dim * (n_heads / 2);
    if (n_deepstack > 0) describe_axes(head_dim, n_deepstack);
    matrix("token_embd.weight", kTinyEmbd, kTinyVocab);
    matrix("output.weight", kTinyEmbd, kTinyVocab);
    vector("output_norm.weight");
    for (int i = 0; i < kLayers; ++i) {
      const std::string layer = "blk." + std::to_string(i) + ".";
      vector(layer + "attn_norm.weight");
      vector(layer + "ffn_norm.weight");
      if (n_deepstack > 0) vector(layer + "attn_q_norm.weight", head_dim);
      if (n_deepstack > 0) vector(layer + "attn_k_norm.weight", head_dim);
      matrix(layer + "attn_q.weight", kTinyEmbd, kTinyEmbd);
      matrix(layer + "attn_k.weight", kTinyEmbd, kv_width);
      matrix(layer + "attn_v.weight", kTinyEmbd, kv_width);
      matrix(layer + "attn_output.weight", kTinyEmbd, kTinyEmbd);
      matrix(layer + "ffn_gate.weight", kTinyEmbd, kFf);
      matrix(layer + "ffn_up.weight", kTinyEmbd, kFf);
      matrix(layer + "ffn_down.weight", kFf, kTinyEmbd);
    }
    gguf_write_to_file(gguf_.get(), path_.c_str(), /*only_meta=*/false);
  }
  ~TinyGguf() { std::filesystem::remove(path_); }
  TinyGguf(const TinyGguf&) = delete;
  TinyGguf& operator=(const TinyGguf&) = delete;

  std::string path() const { return path_.string(); }

 private:
  void set(const std::string& name, uint32_t value) {
    gguf_set_val_u32(gguf_.get(), (architecture_ + "." + name).c_str(), value);
  }

  void describe_axes(int head_dim, int n_deepstack) {
    set("n_deepstack_layers", n_deepstack);
    const std::array<int32_t, 4> sections = {head_dim / 2 - 8, 4, 4, 0};
    gguf_set_arr_data(gguf_.get(), (architecture_ + ".rope.dimension_sections").c_str(),
                      GGUF_TYPE_INT32, sections.data(), sections.size());
  }

  void matrix(const std::string& name, int n_in, int n_out) {
    std::normal_distribution<float> normal(0.F, 1.F / std::sqrt(static_cast<float>(n_in)));
    std::vector<ggml_fp16_t> values(static_cast<size_t>(n_in) * n_out);
    for (ggml_fp16_t& value : values) value = ggml_fp32_to_fp16(normal(random_));
    add(ggml_new_tensor_2d(context_.get(), GGML_TYPE_F16, n_in, n_out), name, values.data(),
        values.size() * sizeof values[0]);
  }

  void vector(const std::string& name, int n = kTinyEmbd) {
    const std::vector<float> ones(n, 1.F);
    add(ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, n), name, ones.data(),
        ones.size() * sizeof ones[0]);
  }

  void add(ggml_tensor* tensor, const std::string& name, const void* values, size_t n_bytes) {
    const auto* const bytes = static_cast<const std::byte*>(values);
    data_.emplace_back(bytes, bytes + n_bytes);
    ggml_set_name(tensor, name.c_str());
    tensor->data = data_.back().data();
    gguf_add_tensor(gguf_.get(), tensor);
  }

  const std::filesystem::path path_;
  const std::string architecture_;
  GgufHandle gguf_;
  ContextHandle context_;
  std::mt19937 random_{5};
  std::vector<std::vector<std::byte>> data_;  // of every tensor, until the file is written
};

}  // namespace edgestream
