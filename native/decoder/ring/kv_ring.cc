// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring/kv_ring.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace edgestream {

namespace {

constexpr size_t kRingTensors = 4;
constexpr std::array kTypes = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                               GGML_TYPE_Q4_0};

}  // namespace

ggml_type read_kv_type(const std::string& name, const ModelShape& shape) {
  const auto* const found =
      std::ranges::find_if(kTypes, [&](ggml_type type) { return name == ggml_type_name(type); });
  if (found == kTypes.end()) {
    throw std::invalid_argument("decoder: keys and values of the type '" + name +
                                "' are not supported; supported: f32, f16, bf16, q8_0, q4_0");
  }
  const int64_t block = ggml_blck_size(*found);
  if (shape.head_dim % block != 0) {
    throw std::invalid_argument("decoder: keys and values of the type " + name +
                                " need heads of a multiple of " + std::to_string(block) +
                                ", this model's have " + std::to_string(shape.head_dim));
  }
  return *found;
}

KvRing::KvRing(const GgufModel& model, const RingPlan& plan, ggml_type type)
    : context(make_context(kRingTensors)) {
  const ModelShape& s = model.shape();
  const int n_sinks = plan.shape().n_sinks;
  ggml_context* const c = context.get();
  const auto rows = [&] {
    return ggml_new_tensor_3d(c, type, s.kv_width(), plan.n_slots(), s.n_layers);
  };
  keys = rows();
  values = ggml_is_quantized(type)
               ? rows()
               : ggml_new_tensor_3d(c, type, plan.n_slots(), s.kv_width(), s.n_layers);
  sink_keys = n_sinks == 0
                  ? nullptr
                  : ggml_new_tensor_3d(c, GGML_TYPE_F32, s.kv_width(), s.n_layers, n_sinks);
  raw_keys = plan.places_keys() ? rows() : nullptr;
  buffer = allocate_tensors(c, model.device(), "KV ring");
}

std::vector<std::byte> KvRing::contents() const {
  std::vector<std::byte> all;
  for (ggml_tensor* tensor = ggml_get_first_tensor(context.get()); tensor != nullptr;
       tensor = ggml_get_next_tensor(context.get(), tensor)) {
    const size_t at = all.size();
    all.resize(at + ggml_nbytes(tensor));
    ggml_backend_tensor_get(tensor, all.data() + at, 0, ggml_nbytes(tensor));
  }
  return all;
}

void KvRing::set_contents(std::span<const std::byte> contents) {
  size_t n_bytes = 0;
  for (ggml_tensor* tensor = ggml_get_first_tensor(context.get()); tensor != nullptr;
       tensor = ggml_get_next_tensor(context.get(), tensor)) {
    n_bytes += ggml_nbytes(tensor);
  }
  if (n_bytes != contents.size()) {
    throw std::invalid_argument("decoder: a saved ring of " + std::to_string(contents.size()) +
                                " bytes does not fit this one of " + std::to_string(n_bytes));
  }
  for (ggml_tensor* tensor = ggml_get_first_tensor(context.get()); tensor != nullptr;
       tensor = ggml_get_next_tensor(context.get(), tensor)) {
    ggml_backend_tensor_set(tensor, contents.data(), 0, ggml_nbytes(tensor));
    contents = contents.subspan(ggml_nbytes(tensor));
  }
}

void KvRing::copy_from(const KvRing& other) {
  ggml_tensor* from = ggml_get_first_tensor(other.context.get());
  for (ggml_tensor* to = ggml_get_first_tensor(context.get()); to != nullptr;
       to = ggml_get_next_tensor(context.get(), to)) {
    ggml_backend_tensor_copy(from, to);
    from = ggml_get_next_tensor(other.context.get(), from);
  }
}

ggml_tensor* layer_of(ggml_context* context, ggml_tensor* all, int layer) {
  return ggml_view_2d(context, all, all->ne[0], all->ne[1], all->nb[1], layer * all->nb[2]);
}

}  // namespace edgestream
