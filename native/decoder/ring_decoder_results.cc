// SPDX-License-Identifier: Apache-2.0
// What a step gives, from the device.
#include <algorithm>
#include <bit>
#include <stdexcept>

#include "decoder/ring_decoder.h"

namespace edgestream {

namespace {

// Compares bits, which vectorizes: a large vocabulary is looked through in every step.
bool all_finite(std::span<const float> values) {
  constexpr uint32_t kNoSign = 0x7FFFFFFF, kInfinity = 0x7F800000;
  uint32_t largest = 0;
  for (const float x : values) largest = std::max(largest, std::bit_cast<uint32_t>(x) & kNoSign);
  return largest < kInfinity;
}

void require_finite(std::span<const float> values, const char* what) {
  if (all_finite(values)) return;
  throw std::runtime_error("decoder: the " + std::string(what) +
                           " are not finite; the input or the weights are out of range. Reset the "
                           "stream");
}

}  // namespace

// Grows when a step of more than max_rows rows first wants them all.
void RingDecoder::read_logits(const Graph& graph) {
  const auto n = static_cast<size_t>(ggml_nelements(graph.logits));
  if (logits_.size() < n_logits_ + n) logits_.resize(n_logits_ + n);
  const std::span read = std::span(logits_).subspan(n_logits_, n);
  ggml_backend_tensor_get(graph.logits, read.data(), 0, read.size_bytes());
  require_finite(read, "logits");
  n_logits_ += n;
}

void RingDecoder::read_attention(const Graph& graph) {
  ggml_backend_tensor_get(graph.attention, head_weights_.data(), 0, ggml_nbytes(graph.attention));
  const auto n_heads = static_cast<size_t>(model_->shape().n_heads);
  const auto n_slots = static_cast<size_t>(plan_.n_slots());
  const float share = 1.F / static_cast<float>(n_heads * config_.attention_layers.size());
  for (int region = 0; region < n_regions(); ++region) {
    plan_.write_seen_slots(region, seen_slots_);
    attention_[region].clear();
    for (const int slot : seen_slots_) {
      float sum = 0.F;
      for (size_t head = 0; head < n_heads; ++head) sum += head_weights_[head * n_slots + slot];
      attention_[region].push_back(sum * share);
    }
  }
}

void RingDecoder::read_mass(const Graph& graph) {
  const std::span read = std::span(mass_).first(ggml_nelements(graph.mass));
  ggml_backend_tensor_get(graph.mass, read.data(), 0, read.size_bytes());
  require_finite(read, "weights of attention");
  const auto n_softmaxes = static_cast<float>(model_->shape().n_heads * model_->shape().n_layers);
  for (float& share : read) share /= n_softmaxes;
  plan_.add_mass(read);
}

}  // namespace edgestream
