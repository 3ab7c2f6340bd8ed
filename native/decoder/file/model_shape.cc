// SPDX-License-Identifier: Apache-2.0
#include "decoder/file/model_shape.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace edgestream {

namespace {

constexpr int64_t kMaxLayers = 1 << 10;
constexpr int64_t kMaxHeads = 1 << 12;
constexpr int64_t kMaxHeadDim = 1 << 12;
constexpr int64_t kMaxWidth = 1 << 20;  // embedding, feed-forward and all heads together
constexpr int64_t kMaxVocab = 1 << 24;
constexpr int64_t kMaxDelays = 1 << 12;
constexpr int64_t kMaxRows = int64_t{1} << 30;
constexpr double kDefaultRopeBase = 10000.0;
constexpr int kDefaultLocalPeriod = 6;  // of layers; the last of a period sees all
// Gemma 3 has one size that scales by the width of a row per head; files do not say so.
constexpr int kLayersScaledByRow = 62;

const Architecture& read_architecture(const GgufFile& file) {
  const auto name = file.find_text("general.architecture");
  if (!name) file.fail("the key general.architecture is missing");
  const Architecture* const architecture = find_architecture(*name);
  if (architecture == nullptr) {
    file.fail("the architecture '" + *name +
              "' is not supported; supported: " + architecture_names());
  }
  return *architecture;
}

class Reader {
 public:
  Reader(const GgufFile& file, const Architecture& architecture)
      : file_(file), architecture_(architecture.name) {}

  int integer(const std::string& name, int64_t low, int64_t high) const {
    const auto value = file_.find_integer(key(name));
    if (!value) file_.fail("the key " + key(name) + " is missing");
    return in_range(name, *value, low, high);
  }

  int integer_or(const std::string& name, int64_t otherwise, int64_t low, int64_t high) const {
    return in_range(name, file_.find_integer(key(name)).value_or(otherwise), low, high);
  }

  float positive(const std::string& name, double otherwise) const {
    const double value = file_.find_number(key(name)).value_or(otherwise);
    if (!(value > 0.0) || !std::isfinite(static_cast<float>(value))) {
      file_.fail(key(name) + " is " + std::to_string(value) + ", it must be positive");
    }
    return static_cast<float>(value);
  }

  float required_positive(const std::string& name) const {
    if (!file_.find_number(key(name))) file_.fail("the key " + key(name) + " is missing");
    return positive(name, 0.0);
  }

  // For what would change the result and is not implemented.
  void only(const std::string& name, double supported) const {
    if (file_.find_number(key(name)).value_or(supported) != supported) {
      const std::string text = std::to_string(supported);
      file_.fail(key(name) + " other than " + text.substr(0, text.find('.')) + " is not supported");
    }
  }

  std::string key(const std::string& name) const { return architecture_ + "." + name; }

 private:
  int in_range(const std::string& name, int64_t value, int64_t low, int64_t high) const {
    if (value < low || value > high) {
      file_.fail(key(name) + " is " + std::to_string(value) + ", it must be " +
                 std::to_string(low) + " to " + std::to_string(high));
    }
    return static_cast<int>(value);
  }

  const GgufFile& file_;
  const std::string architecture_;
};

// What would change the result and is not implemented is refused rather than left out.
void check_options(const GgufFile& file, const Reader& reader) {
  reader.integer_or("expert_count", 0, 0, 0);
  if (!file.find_flag(reader.key("attention.causal")).value_or(true)) {
    file.fail("attention that is not causal is not supported");
  }
  reader.only("rope.scaling.attn_factor", 1.0);
  reader.only("rope.scaling.yarn_ext_factor", 1.0);
  reader.only("rope.scaling.yarn_attn_factor", 1.0);
  reader.only("rope.scaling.yarn_beta_fast", 32.0);
  reader.only("rope.scaling.yarn_beta_slow", 1.0);
  reader.only("rope.scaling.yarn_log_multiplier", 0.0);
  reader.only("attn_logit_softcapping", 0.0);
  reader.only("final_logit_softcapping", 0.0);
}

RopeShape read_rope(const GgufFile& file, const Reader& reader) {
  RopeShape rope{.base = reader.positive("rope.freq_base", kDefaultRopeBase), .scale = 1.F};
  const auto kind = file.find_text(reader.key("rope.scaling.type")).value_or("linear");
  if (kind == "none") return rope;
  if (kind != "linear" && kind != "yarn") {
    file.fail("rope scaling of the type '" + kind +
              "' is not supported; supported: none, linear, yarn");
  }
  rope.scale = 1.F / reader.positive("rope.scaling.factor", 1.0);
  if (kind == "linear") return rope;
  const int n_rows = reader.integer("context_length", 1, kMaxRows);
  rope.yarn = true;
  rope.n_trained_rows =
      reader.integer_or("rope.scaling.original_context_length", n_rows, 1, kMaxRows);
  return rope;
}

void read_local_layers(const Reader& reader, const RopeShape& rope, ModelShape& shape) {
  shape.local_reach = reader.integer_or("attention.sliding_window", 0, 0, kMaxRows);
  if (shape.local_reach == 0) return;
  const int period =
      reader.integer_or("attention.sliding_window_pattern", kDefaultLocalPeriod, 1, kMaxLayers);
  RopeShape local = rope;
  local.base = reader.positive("rope.freq_base_swa", kDefaultRopeBase);
  local.scale = 1.F;
  for (int i = 0; i < shape.n_layers; ++i) {
    if (i % period < period - 1) shape.layers[i] = {.rope = local, .local = true};
  }
}

void read_layers(const GgufFile& file, const Reader& reader, ModelShape& shape) {
  const RopeShape rope = read_rope(file, reader);
  shape.layers.assign(shape.n_layers, {.rope = rope});
  const int step = shape.architecture->unrotated_layer_step;
  for (int i = step - 1; step > 0 && i < shape.n_layers; i += step) shape.layers[i].rope.reset();
  if (shape.architecture->local_layers) read_local_layers(reader, rope, shape);
}

// M-RoPE (Wang et al. 2024, "Qwen2-VL").
void read_sections(const GgufFile& file, const Reader& reader, ModelShape& shape) {
  if (!shape.architecture->multi_axis) return;
  const std::string key = reader.key("rope.dimension_sections");
  const auto sections = file.find_integers(key);
  if (!sections) file.fail("the key " + key + " is missing");
  int64_t n_pairs = 0;
  const bool counts = sections->size() == shape.rope_sections.size() &&
                      std::ranges::all_of(*sections, [&](int64_t n) {
                        n_pairs += std::clamp<int64_t>(n, 0, kMaxHeadDim);
                        return n >= 0 && n <= kMaxHeadDim;
                      });
  if (!counts || n_pairs != shape.head_dim / 2) {
    file.fail(key + " must be 4 counts that make " + std::to_string(shape.head_dim / 2) +
              ", half a head");
  }
  std::ranges::copy(*sections, shape.rope_sections.begin());
}

void check_heads(const GgufFile& file, const ModelShape& shape) {
  if (shape.n_heads % shape.n_kv_heads != 0) {
    file.fail(std::to_string(shape.n_heads) + " query heads cannot share " +
              std::to_string(shape.n_kv_heads) + " key heads");
  }
  if (shape.head_dim % 2 != 0) {
    file.fail("the head width " + std::to_string(shape.head_dim) + " is odd, it must be even");
  }
  if (int64_t{shape.n_heads} * shape.head_dim > kMaxWidth) {
    file.fail("all heads together are wider than " + std::to_string(kMaxWidth));
  }
}

int read_head_dim(const GgufFile& file, const Reader& reader, int n_embd, int n_heads) {
  if (!file.find_integer(reader.key("attention.key_length")) && n_embd % n_heads != 0) {
    file.fail("rows of " + std::to_string(n_embd) + " cannot be cut into " +
              std::to_string(n_heads) + " heads");
  }
  const int head_dim = reader.integer_or("attention.key_length", n_embd / n_heads, 1, kMaxHeadDim);
  reader.integer_or("attention.value_length", head_dim, head_dim, head_dim);
  reader.integer_or("rope.dimension_count", head_dim, head_dim, head_dim);
  return head_dim;
}

int read_vocab_size(const GgufFile& file) {
  const TensorEntry* const embeddings = file.find_tensor("token_embd.weight");
  if (embeddings == nullptr) file.fail("the tensor token_embd.weight is missing");
  const int64_t n = embeddings->shape[1];
  if (n < 1 || n > kMaxVocab) {
    file.fail("a vocabulary of " + std::to_string(n) + ", it must be 1 to " +
              std::to_string(kMaxVocab));
  }
  return static_cast<int>(n);
}

// Only rows with logits go through the last layer whole, so nothing is added behind it.
int read_deepstack(const GgufFile& file, const Reader& reader, const ModelShape& shape) {
  if (!shape.architecture->deepstack) return 0;
  const int n_parts = reader.integer_or("n_deepstack_layers", 0, 0, shape.n_layers - 1);
  if (int64_t{shape.n_embd} * (1 + n_parts) > kMaxWidth) {
    file.fail("rows with their deepstack parts are wider than " + std::to_string(kMaxWidth));
  }
  return n_parts;
}

int read_delays(const GgufFile& file, const ModelShape& shape) {
  if (!shape.architecture->delay_scales) return 0;
  const TensorEntry* const scales = file.find_tensor(std::string("blk.0.") + kDelayScale);
  if (scales == nullptr) return 0;
  if (scales->shape[1] < 1 || scales->shape[1] > kMaxDelays) {
    file.fail("scales for " + std::to_string(scales->shape[1]) + " delays, there may be 1 to " +
              std::to_string(kMaxDelays));
  }
  return static_cast<int>(scales->shape[1]);
}

void read_scales(const Reader& reader, ModelShape& shape) {
  const auto inverse_root = [](int width) { return 1.F / std::sqrt(static_cast<float>(width)); };
  shape.token_scale = shape.query_scale = 1.F;
  if (!shape.architecture->scales_tokens) {
    shape.attention_scale = reader.positive("attention.scale", inverse_root(shape.head_dim));
    return;
  }
  const bool by_row = shape.n_layers == kLayersScaledByRow;
  shape.token_scale = std::sqrt(static_cast<float>(shape.n_embd));
  shape.query_scale = inverse_root(by_row ? shape.n_embd / shape.n_heads : shape.head_dim);
  shape.attention_scale = 1.F;
}

}  // namespace

std::vector<LayerRun> ModelShape::rope_runs() const {
  std::vector<LayerRun> runs;
  for (int i = 0; i < n_layers; ++i) {
    if (!layers[i].rope) continue;
    if (i > 0 && layers[i].rope == layers[i - 1].rope) {
      ++runs.back().n_layers;
    } else {
      runs.push_back({i, 1});
    }
  }
  return runs;
}

ModelShape read_model_shape(const GgufFile& file) {
  const Architecture& architecture = read_architecture(file);
  const Reader reader(file, architecture);
  check_options(file, reader);
  ModelShape shape{};
  shape.architecture = &architecture;
  shape.n_layers = reader.integer("block_count", 1, kMaxLayers);
  shape.n_embd = reader.integer("embedding_length", 1, kMaxWidth);
  shape.n_ff = reader.integer("feed_forward_length", 1, kMaxWidth);
  shape.n_heads = reader.integer("attention.head_count", 1, kMaxHeads);
  shape.n_kv_heads = reader.integer_or("attention.head_count_kv", shape.n_heads, 1, kMaxHeads);
  shape.head_dim = read_head_dim(file, reader, shape.n_embd, shape.n_heads);
  shape.n_vocab = read_vocab_size(file);
  shape.n_deepstack = read_deepstack(file, reader, shape);
  shape.n_delays = read_delays(file, shape);
  shape.rms_epsilon = reader.required_positive("attention.layer_norm_rms_epsilon");
  read_layers(file, reader, shape);
  read_sections(file, reader, shape);
  read_scales(reader, shape);
  check_heads(file, shape);
  return shape;
}

}  // namespace edgestream
