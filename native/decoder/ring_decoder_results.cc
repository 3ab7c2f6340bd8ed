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
std::span<float> RingDecoder::next_logits(size_t n) {
  if (logits_.size() < n_logits_ + n) logits_.resize(n_logits_ + n);
  n_logits_ += n;
  return std::span(logits_).subspan(n_logits_ - n, n);
}

void RingDecoder::read_logits(const Graph& graph) {
  const std::span logits = next_logits(ggml_nelements(graph.logits));
  ggml_backend_tensor_get(graph.logits, logits.data(), 0, logits.size_bytes());
  require_finite(logits, "logits");
}

// Of the step's rows from `first` on: those of the last layer, or of the exit.
void RingDecoder::read_logits_or_exits(const Graph& rest, int first) {
  const auto width = static_cast<size_t>(n_vocab());
  const std::span logits = next_logits((exit_->n_rows() - first) * width);
  if (rest.logits != nullptr) {
    ggml_backend_tensor_get(rest.logits, logits.data(), 0, logits.size_bytes());
  }
  for (int row = first; row < exit_->n_rows(); ++row) {
    if (!exit_->exits(row)) continue;
    std::ranges::copy(exit_->logits(row), logits.subspan((row - first) * width).begin());
  }
  require_finite(logits, "logits");
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
