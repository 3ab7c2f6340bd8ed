// SPDX-License-Identifier: Apache-2.0
#include "decoder/file/gguf_model.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "decoder/device/ggml_log.h"
#include "decoder/file/weight_types.h"

namespace edgestream {

namespace {

constexpr int kTensorsPerLayer = 17;
constexpr int kTensorsBesides = 3;  // output norm, output, rope factors
constexpr size_t kReadBytes = size_t{4} << 20;

const char* const kTokenRows = "token_embd.weight";

std::string shape_text(const int64_t* shape, size_t n_dims) {
  std::string text = "[";
  for (size_t i = 0; i < n_dims; ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

bool same_shape(const TensorEntry& entry, std::initializer_list<int64_t> shape) {
  return std::equal(shape.begin(), shape.end(), entry.shape) &&
         std::all_of(entry.shape + shape.size(), entry.shape + GGML_MAX_DIMS,
                     [](int64_t extent) { return extent == 1; });
}

void check_entry(const GgufFile& file, const TensorEntry& entry,
                 std::initializer_list<int64_t> shape) {
  if (!same_shape(entry, shape)) {
    file.fail("the tensor " + entry.name + " is " + shape_text(entry.shape, GGML_MAX_DIMS) +
              ", the metadata asks for " + shape_text(shape.begin(), shape.size()));
  }
  const bool known = shape.size() == 1 ? entry.type == GGML_TYPE_F32 : is_matrix_type(entry.type);
  if (!known) {
    file.fail("the tensor " + entry.name + " is of the type " + ggml_type_name(entry.type) +
              ", which cannot be computed with here");
  }
}

void read_bytes(const GgufFile& file, std::ifstream& stream, std::span<std::byte> out) {
  stream.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  if (!stream) file.fail("cannot be read to its end");
}

}  // namespace

GgufModel::GgufModel(const std::string& path, const std::string& device)
    : file_(path), shape_(read_model_shape(file_)), device_(find_device(device)) {
  describe_weights();
  refuse_unknown_tensors();
  read_token_texts();
  read_weights();
  read_token_rows();
}

size_t GgufModel::weight_bytes() const {
  const size_t repacked = repacked_ ? ggml_backend_buffer_get_size(repacked_.get()) : 0;
  return ggml_backend_buffer_get_size(buffer_.get()) + repacked + token_rows_.size();
}

ggml_tensor* GgufModel::claim(const std::string& name, std::initializer_list<int64_t> shape) {
  const TensorEntry* const entry = file_.find_tensor(name);
  if (entry == nullptr) file_.fail("the tensor " + name + " is missing");
  check_entry(file_, *entry, shape);
  ggml_tensor* const tensor =
      ggml_new_tensor(context_.get(), entry->type, static_cast<int>(shape.size()), shape.begin());
  ggml_set_name(tensor, name.c_str());
  return tensor;
}

ggml_tensor* GgufModel::claim_if(bool wanted, const std::string& name,
                                 std::initializer_list<int64_t> shape) {
  return wanted ? claim(name, shape) : nullptr;
}

ggml_tensor* GgufModel::claim_if_there(bool allowed, const std::string& name,
                                       std::initializer_list<int64_t> shape) {
  return claim_if(allowed && file_.find_tensor(name) != nullptr, name, shape);
}

// Rows are multiplied by its columns as they are, so it is stored as vectors are.
ggml_tensor* GgufModel::claim_delay_scale(const std::string& name) {
  ggml_tensor* const scale = claim_if(shape_.n_delays > 0, name, {shape_.n_embd, shape_.n_delays});
  if (scale != nullptr && scale->type != GGML_TYPE_F32) {
    file_.fail("the tensor " + name + " is of the type " + ggml_type_name(scale->type) +
               ", it must be F32");
  }
  return scale;
}

LayerWeights GgufModel::describe_layer(int index) {
  const std::string layer = "blk." + std::to_string(index) + ".";
  const auto& s = shape_;
  const Architecture& a = *s.architecture;
  return {.attention_norm = claim(layer + "attn_norm.weight", {s.n_embd}),
          .query = claim(layer + "attn_q.weight", {s.n_embd, s.query_width()}),
          .key = claim(layer + "attn_k.weight", {s.n_embd, s.kv_width()}),
          .value = claim(layer + "attn_v.weight", {s.n_embd, s.kv_width()}),
          .query_bias = claim_if_there(a.biases, layer + "attn_q.bias", {s.query_width()}),
          .key_bias = claim_if_there(a.biases, layer + "attn_k.bias", {s.kv_width()}),
          .value_bias = claim_if_there(a.biases, layer + "attn_v.bias", {s.kv_width()}),
          .query_norm = claim_if(a.head_norms, layer + "attn_q_norm.weight", {s.head_dim}),
          .key_norm = claim_if(a.head_norms, layer + "attn_k_norm.weight", {s.head_dim}),
          .attention_out = claim(layer + "attn_output.weight", {s.query_width(), s.n_embd}),
          .attention_post_norm =
              claim_if(a.post_norms, layer + "post_attention_norm.weight", {s.n_embd}),
          .ffn_norm = claim(layer + "ffn_norm.weight", {s.n_embd}),
          .ffn_delay_scale = claim_delay_scale(layer + kDelayScale),
          .ffn_gate = claim(layer + "ffn_gate.weight", {s.n_embd, s.n_ff}),
          .ffn_up = claim(layer + "ffn_up.weight", {s.n_embd, s.n_ff}),
          .ffn_down = claim(layer + "ffn_down.weight", {s.n_ff, s.n_embd}),
          .ffn_post_norm = claim_if(a.post_norms, layer + "post_ffw_norm.weight", {s.n_embd})};
}

void GgufModel::describe_weights() {
  context_ = make_context(size_t{kTensorsPerLayer} * shape_.n_layers + kTensorsBesides);
  token_rows_entry_ = file_.find_tensor(kTokenRows);
  check_entry(file_, *token_rows_entry_, {shape_.n_embd, shape_.n_vocab});
  for (int i = 0; i < shape_.n_layers; ++i) weights_.layers.push_back(describe_layer(i));
  weights_.output_norm = claim("output_norm.weight", {shape_.n_embd});
  const bool tied = file_.find_tensor("output.weight") == nullptr;
  weights_.output = claim(tied ? kTokenRows : "output.weight", {shape_.n_embd, shape_.n_vocab});
  weights_.rope_factors =
      claim_if_there(shape_.architecture->rope_factors, "rope_freqs.weight", {shape_.head_dim / 2});
}

// A tensor that is left out, a bias say, would change every result without a sign.
void GgufModel::refuse_unknown_tensors() const {
  for (const TensorEntry& entry : file_.tensors()) {
    if (entry.name == kTokenRows) continue;
    if (ggml_get_tensor(context_.get(), entry.name.c_str()) == nullptr) {
      file_.fail("the tensor " + entry.name + " has no place in the " +
                 std::string(shape_.architecture->name) + " architecture");
    }
  }
}

void GgufModel::read_token_texts() {
  auto texts = file_.find_texts("tokenizer.ggml.tokens");
  if (!texts) return;
  if (std::cmp_not_equal(texts->size(), shape_.n_vocab)) {
    file_.fail("the tokenizer has " + std::to_string(texts->size()) + " tokens, the weights " +
               std::to_string(shape_.n_vocab));
  }
  token_texts_ = *std::move(texts);
}

// All that is not a tensor: it says what the weights mean.
void GgufModel::read_head(std::ifstream& stream) {
  uint64_t end = token_rows_entry_->file_offset;
  for (ggml_tensor* tensor = ggml_get_first_tensor(context_.get()); tensor != nullptr;
       tensor = ggml_get_next_tensor(context_.get(), tensor)) {
    end = std::min<uint64_t>(end, file_.find_tensor(tensor->name)->file_offset);
  }
  std::vector<std::byte> head(end);
  read_bytes(file_, stream, head);
  fingerprint_.add(head);
}

void GgufModel::read_weights() {
  repacked_ = allocate_repacked(context_.get(), device_, "weights");
  buffer_ = allocate_tensors(context_.get(), device_, "weights");
  for (ggml_backend_buffer_t buffer : {buffer_.get(), repacked_.get()}) {
    if (buffer != nullptr) ggml_backend_buffer_set_usage(buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  }
  // It would tell how it lays out each matrix.
  const GgmlLog quiet([](ggml_log_level, const char*, void*) {}, nullptr);
  std::ifstream stream(file_.path(), std::ios::binary);
  read_head(stream);
  std::vector<std::byte> block;
  for (ggml_tensor* tensor = ggml_get_first_tensor(context_.get()); tensor != nullptr;
       tensor = ggml_get_next_tensor(context_.get(), tensor)) {
    const TensorEntry& entry = *file_.find_tensor(tensor->name);
    stream.seekg(static_cast<std::streamoff>(entry.file_offset));
    const size_t at_once = tensor->buffer == repacked_.get() ? entry.n_bytes : kReadBytes;
    for (size_t done = 0; done < entry.n_bytes; done += block.size()) {
      block.resize(std::min(at_once, entry.n_bytes - done));
      read_bytes(file_, stream, block);
      fingerprint_.add(block);
      ggml_backend_tensor_set(tensor, block.data(), done, block.size());
    }
  }
}

void GgufModel::read_token_rows() {
  token_row_bytes_ = ggml_row_size(token_rows_entry_->type, shape_.n_embd);
  token_rows_.resize(token_rows_entry_->n_bytes);
  std::ifstream stream(file_.path(), std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(token_rows_entry_->file_offset));
  read_bytes(file_, stream, token_rows_);
  fingerprint_.add(token_rows_);
}

void GgufModel::token_embedding(int32_t token, std::span<float> out) const {
  if (token < 0 || token >= shape_.n_vocab) {
    throw std::invalid_argument("decoder: there is no token " + std::to_string(token) +
                                "; this model has " + std::to_string(shape_.n_vocab));
  }
  if (std::cmp_not_equal(out.size(), shape_.row_width())) {
    throw std::invalid_argument("decoder: an embedding has " + std::to_string(shape_.row_width()) +
                                " numbers, room was given for " + std::to_string(out.size()));
  }
  const std::byte* const row = token_rows_.data() + token * token_row_bytes_;
  const auto to_float = ggml_get_type_traits(token_rows_entry_->type)->to_float;
  if (to_float == nullptr) {  // stored as float32
    std::memcpy(out.data(), row, token_row_bytes_);
  } else {
    to_float(row, out.data(), shape_.n_embd);
  }
  const auto embedding = out.first(shape_.n_embd);
  for (float& x : embedding) x *= shape_.token_scale;
  std::ranges::fill(out.subspan(shape_.n_embd), 0.F);
}

}  // namespace edgestream
