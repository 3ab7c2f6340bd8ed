// SPDX-License-Identifier: Apache-2.0
#include "decoder/file/mmproj_tensors.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <set>

#include "decoder/file/weight_types.h"

namespace edgestream {

namespace {

// Compares tensors with what the graph takes; all that is left over is unknown.
class Tensors {
 public:
  explicit Tensors(const GgufFile& file) : file_(file) {
    for (const TensorEntry& entry : file.tensors()) unclaimed_.insert(entry.name);
  }

  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }

  /// A matrix or, with one extent, a vector. Returns the last extent; 0 in `shape` is any.
  int64_t claim(const std::string& name, std::initializer_list<int64_t> shape) {
    const TensorEntry* const entry = file_.find_tensor(name);
    if (entry == nullptr) file_.fail("the tensor " + name + " is missing");
    const bool fits =
        std::equal(shape.begin(), shape.end(), entry->shape,
                   [](int64_t wanted, int64_t there) { return wanted == 0 || wanted == there; }) &&
        std::all_of(entry->shape + shape.size(), entry->shape + GGML_MAX_DIMS,
                    [](int64_t extent) { return extent == 1; });
    if (!fits) file_.fail("the tensor " + name + " has not the shape that the metadata ask for");
    check_type(*entry, shape.size());
    unclaimed_.erase(name);
    return entry->shape[shape.size() - 1];
  }

  void claim_if_there(const std::string& name, std::initializer_list<int64_t> shape) {
    if (has(name)) claim(name, shape);
  }

  /// Added to activations as it is.
  void claim_float32(const std::string& name, std::initializer_list<int64_t> shape) {
    claim(name, shape);
    if (file_.find_tensor(name)->type != GGML_TYPE_F32) fail_type(name);
  }

  void refuse_others() const {
    if (unclaimed_.empty()) return;
    file_.fail("the tensor " + *unclaimed_.begin() + " is not known of this kind of tower");
  }

 private:
  void check_type(const TensorEntry& entry, size_t n_extents) const {
    const bool plain = entry.type == GGML_TYPE_F32;
    const bool known = n_extents == 1   ? plain
                       : n_extents == 4 ? plain || entry.type == GGML_TYPE_F16  // convolved
                                        : is_matrix_type(entry.type);
    if (!known) fail_type(entry.name);
  }

  [[noreturn]] void fail_type(const std::string& name) const {
    file_.fail("the tensor " + name + " is of the type " +
               ggml_type_name(file_.find_tensor(name)->type) +
               ", which cannot be computed with here");
  }

  const GgufFile& file_;
  std::set<std::string> unclaimed_;
};

void claim_pair(Tensors& tensors, const std::string& name, int64_t n_in, int64_t n_out,
                bool needs_bias) {
  tensors.claim(name + ".weight", {n_in, n_out});
  if (needs_bias || tensors.has(name + ".bias")) tensors.claim(name + ".bias", {n_out});
}

void claim_norm(Tensors& tensors, const std::string& name, int64_t width, bool bias) {
  tensors.claim(name + ".weight", {width});
  if (bias) tensors.claim(name + ".bias", {width});
}

// Some older files call the two the other way round; libmtmd tells by the shape.
void claim_feed_forward(Tensors& tensors, const GgufFile& file, const std::string& layer,
                        const MmprojFamily& family, const MmprojShape& s) {
  const TensorEntry* const down = file.find_tensor(layer + "ffn_down.weight");
  const bool swapped = !family.fused && down != nullptr && down->shape[0] == s.n_embd;
  if (swapped && s.n_ff == s.n_embd) {
    file.fail("a feed-forward as wide as a row is taken for one of an older kind by libmtmd");
  }
  const std::string up_name = layer + (swapped ? "ffn_down" : "ffn_up");
  const std::string down_name = layer + (swapped ? "ffn_up" : "ffn_down");
  claim_pair(tensors, up_name, s.n_embd, s.n_ff, false);
  claim_pair(tensors, down_name, s.n_ff, s.n_embd, false);
  if (family.has_gate) claim_pair(tensors, layer + "ffn_gate", s.n_embd, s.n_ff, false);
}

void claim_layer(Tensors& tensors, const GgufFile& file, const MmprojFamily& family,
                 const MmprojShape& s, int index) {
  const std::string layer = "v.blk." + std::to_string(index) + ".";
  claim_norm(tensors, layer + "ln1", s.n_embd, family.norm_biases);
  claim_norm(tensors, layer + "ln2", s.n_embd, family.norm_biases);
  if (family.fused) {
    claim_pair(tensors, layer + "attn_qkv", s.n_embd, 3 * int64_t{s.n_embd}, true);
  } else {
    for (const char* part : {"attn_q", "attn_k", "attn_v"}) {
      claim_pair(tensors, layer + part, s.n_embd, s.n_embd, family.needs_biases);
    }
  }
  claim_pair(tensors, layer + "attn_out", s.n_embd, s.n_embd, false);
  claim_feed_forward(tensors, file, layer, family, s);
}

void claim_patches(Tensors& tensors, const GgufFile& file, const MmprojFamily& family,
                   const MmprojShape& s) {
  const std::initializer_list<int64_t> patch = {s.patch_size, s.patch_size, 3, s.n_embd};
  tensors.claim("v.patch_embd.weight", patch);
  if (family.two_patches) tensors.claim("v.patch_embd.weight.1", patch);
  const bool may_have_bias = !family.two_patches && tensors.has("v.patch_embd.bias");
  if (family.patch_bias || may_have_bias) tensors.claim("v.patch_embd.bias", {s.n_embd});
  if (!family.learned_positions) return;
  const int64_t side = s.image_size / s.patch_size;
  const int64_t n_positions = family.rotates ? 0 : side * side;
  tensors.claim_float32("v.position_embd.weight", {s.n_embd, n_positions});
  const int64_t n = file.find_tensor("v.position_embd.weight")->shape[1];
  const auto root = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(n))));
  if (root * root != n) file.fail("the learned positions are no square");
}

// Two layers with GELU between; returns the width that they give.
int64_t claim_merger(Tensors& tensors, const std::string& first, const std::string& second,
                     int64_t n_in) {
  const int64_t hidden = tensors.claim(first + ".weight", {n_in, 0});
  tensors.claim(first + ".bias", {hidden});
  const int64_t n_out = tensors.claim(second + ".weight", {hidden, 0});
  tensors.claim(second + ".bias", {n_out});
  return n_out;
}

void claim_projector(Tensors& tensors, const GgufFile& file, const MmprojFamily& family,
                     MmprojShape& s) {
  const int64_t n_in = int64_t{s.n_embd} * s.n_merge * s.n_merge;
  const bool post_norm = family.rotates || tensors.has("v.post_ln.weight");
  if (post_norm) claim_norm(tensors, "v.post_ln", s.n_embd, family.norm_biases);
  if (!family.rotates) {
    s.n_out = static_cast<int>(tensors.claim("mm.model.fc.weight", {n_in, 0}));
    return;
  }
  s.n_out = static_cast<int>(claim_merger(tensors, "mm.0", "mm.2", n_in));
  for (int layer = 0; family.fused && layer < s.n_layers; ++layer) {
    const std::string name = "v.deepstack." + std::to_string(layer) + ".";
    if (!tensors.has(name + "fc1.weight")) continue;
    claim_norm(tensors, name + "norm", n_in, true);
    if (claim_merger(tensors, name + "fc1", name + "fc2", n_in) != s.n_out) {
      file.fail("the tensor " + name + "fc2.weight gives another width than mm.2.weight");
    }
    ++s.n_deepstack;
  }
}

}  // namespace

void check_mmproj_tensors(const GgufFile& file, const MmprojFamily& family, MmprojShape& shape) {
  Tensors tensors(file);
  claim_patches(tensors, file, family, shape);
  for (int layer = 0; layer < shape.n_layers; ++layer) {
    claim_layer(tensors, file, family, shape, layer);
  }
  claim_projector(tensors, file, family, shape);
  tensors.refuse_others();
}

}  // namespace edgestream
