// SPDX-License-Identifier: Apache-2.0
#include "decoder/file/mmproj.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "decoder/file/mmproj_tensors.h"

namespace edgestream {

namespace {

constexpr int64_t kMaxWidth = 1 << 16;
constexpr int64_t kMaxLayers = 1 << 10;
constexpr int64_t kMaxHeads = 1 << 10;
constexpr int64_t kMaxImageSize = 1 << 13;
constexpr int64_t kMaxPatches = 1 << 14;  // of a fixed grid; attention is as large as their square
constexpr int64_t kQwenMerge = 2;         // libmtmd's graph knows no other
constexpr int64_t kWindowPixels = 112;    // of window attention; fixed in libmtmd
const std::string kVision = "clip.vision.";

constexpr std::array kFamilies = {
    MmprojFamily{.projector = "idefics3", .norm_biases = true, .learned_positions = true},
    MmprojFamily{.projector = "qwen2.5vl_merger",
                 .rotates = true,
                 .two_patches = true,
                 .has_gate = true,
                 .needs_biases = true},
    MmprojFamily{.projector = "qwen3vl_merger",
                 .rotates = true,
                 .two_patches = true,
                 .fused = true,
                 .norm_biases = true,
                 .needs_biases = true,
                 .patch_bias = true,
                 .learned_positions = true},
};

const MmprojFamily& read_family(const GgufFile& file) {
  std::string name = file.find_text("clip.projector_type").value_or("");
  if (name.empty()) name = file.find_text(kVision + "projector_type").value_or("");
  if (name.empty()) file.fail("no vision tower: the key clip.projector_type is missing");
  const auto* const found = std::ranges::find(kFamilies, name, &MmprojFamily::projector);
  if (found != kFamilies.end()) return *found;
  file.fail("the projector '" + name +
            "' is not supported; supported: idefics3, qwen2.5vl_merger, qwen3vl_merger");
}

// libmtmd reads a key by its type and stops the process where the file has another.
void check_types(const GgufFile& file) {
  for (const char* key : {"general.name", "general.description", "clip.projector_type",
                          "clip.vision.projector_type", "clip.vision.mm_patch_merge_type"}) {
    file.require_type(key, GGUF_TYPE_STRING);
  }
  for (const char* key : {"clip.has_vision_encoder", "clip.has_audio_encoder",
                          "clip.has_gen_audio_encoder", "clip.use_gelu", "clip.use_silu"}) {
    file.require_type(key, GGUF_TYPE_BOOL);
  }
  for (const char* key :
       {"embedding_length", "attention.head_count", "attention.head_count_kv", "attention.head_dim",
        "feed_forward_length", "block_count", "projection_dim", "image_size", "patch_size",
        "projector.scale_factor", "preproc_image_size", "spatial_merge_size", "n_wa_pattern"}) {
    file.require_type(kVision + key, GGUF_TYPE_UINT32);
  }
  file.require_type("clip.minicpmv_version", GGUF_TYPE_INT32);
  file.require_type("clip.minicpmv_query_num", GGUF_TYPE_UINT32);
  file.require_type(kVision + "attention.layer_norm_epsilon", GGUF_TYPE_FLOAT32);
  for (const char* key : {"image_mean", "image_std"}) {
    file.require_type(kVision + key, GGUF_TYPE_ARRAY, GGUF_TYPE_FLOAT32);
  }
}

int read_number(const GgufFile& file, const std::string& name, int64_t low, int64_t high) {
  const auto value = file.find_integer(kVision + name);
  if (!value) file.fail("the key " + kVision + name + " is missing");
  if (*value >= low && *value <= high) return static_cast<int>(*value);
  file.fail(kVision + name + " is " + std::to_string(*value) + ", it must be " +
            std::to_string(low) + " to " + std::to_string(high));
}

void check_same(const GgufFile& file, const std::string& name, int64_t value) {
  const int64_t there = file.find_integer(kVision + name).value_or(value);
  if (there != value) {
    file.fail(kVision + name + " is " + std::to_string(there) + ", only " + std::to_string(value) +
              " is supported here");
  }
}

void check_colors(const GgufFile& file) {
  for (const char* name : {"image_mean", "image_std"}) {
    const auto value = file.find(kVision + name);
    const auto* numbers = value ? std::get_if<std::vector<double>>(&*value) : nullptr;
    if (numbers == nullptr || numbers->size() != 3) {
      file.fail(kVision + name + " must have three numbers");
    }
    const bool divides = std::string(name) == "image_std";
    for (const double number : *numbers) {
      if (std::isfinite(number) && (!divides || number > 0.0)) continue;
      file.fail(kVision + name + " holds " + std::to_string(number));
    }
  }
  const double epsilon = file.find_number(kVision + "attention.layer_norm_epsilon").value_or(-1.0);
  if (!(epsilon >= 0.0 && epsilon < 1.0)) {
    file.fail(kVision + "attention.layer_norm_epsilon must be 0 to 1");
  }
}

void check_modalities(const GgufFile& file) {
  if (!file.find_flag("clip.has_vision_encoder").value_or(false)) {
    file.fail("it has no vision tower");
  }
  for (const char* key : {"clip.has_audio_encoder", "clip.has_gen_audio_encoder"}) {
    if (file.find_flag(key).value_or(false)) file.fail("towers of sound are not supported");
  }
  if (file.find_flag("clip.use_gelu").value_or(false) &&
      file.find_flag("clip.use_silu").value_or(false)) {
    file.fail("clip.use_gelu and clip.use_silu exclude one another");
  }
}

void check_grid(const GgufFile& file, const MmprojFamily& family, const MmprojShape& shape) {
  const int head_dim = shape.n_embd / shape.n_heads;
  if (head_dim * shape.n_heads != shape.n_embd || (family.rotates && head_dim % 4 != 0)) {
    file.fail("a width of " + std::to_string(shape.n_embd) + " cannot be shared by " +
              std::to_string(shape.n_heads) + " heads");
  }
  check_same(file, "attention.head_count_kv", shape.n_heads);
  check_same(file, "attention.head_dim", head_dim);
  const int cell_px = shape.patch_size * shape.n_merge;
  const int64_t side = shape.image_size / shape.patch_size;
  if (!family.rotates && (shape.image_size % cell_px != 0 || side * side > kMaxPatches)) {
    file.fail("pictures of " + std::to_string(shape.image_size) + " pixels in cells of " +
              std::to_string(cell_px) + " are not supported");
  }
  if (family.rotates && cell_px > kWindowPixels) {
    file.fail("patches of " + std::to_string(shape.patch_size) + " pixels are too large");
  }
}

MmprojShape read_numbers(const GgufFile& file, const MmprojFamily& family) {
  MmprojShape shape{.projector = family.projector,
                    .image_size = read_number(file, "image_size", 1, kMaxImageSize),
                    .patch_size = read_number(file, "patch_size", 1, kMaxImageSize),
                    .n_embd = read_number(file, "embedding_length", 1, kMaxWidth),
                    .n_heads = read_number(file, "attention.head_count", 1, kMaxHeads),
                    .n_layers = read_number(file, "block_count", 1, kMaxLayers),
                    .n_ff = read_number(file, "feed_forward_length", 1, kMaxWidth)};
  read_number(file, "projection_dim", 0, kMaxWidth);
  if (family.rotates) {
    check_same(file, "spatial_merge_size", kQwenMerge);
    shape.n_merge = kQwenMerge;
  } else {
    shape.n_merge = read_number(file, "projector.scale_factor", 2, 16);
    if (file.find(kVision + "preproc_image_size")) {
      read_number(file, "preproc_image_size", 1, kMaxImageSize);
    }
  }
  if (family.has_gate && read_number(file, "n_wa_pattern", 0, kMaxLayers) == 1) {
    file.fail("clip.vision.n_wa_pattern is 1, which makes a mask that no layer uses; it must be 0");
  }
  check_grid(file, family, shape);
  return shape;
}

}  // namespace

MmprojShape read_mmproj_shape(const std::string& path) {
  const GgufFile file(path);
  check_types(file);
  const MmprojFamily& family = read_family(file);
  check_modalities(file);
  check_colors(file);
  MmprojShape shape = read_numbers(file, family);
  check_mmproj_tensors(file, family, shape);
  if (shape.n_out < 1 || shape.n_out > kMaxWidth) file.fail("its rows have no sensible width");
  return shape;
}

}  // namespace edgestream
