// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/step_results.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

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

StepResults::StepResults(const ModelShape& model, const RingPlan& plan)
    : n_softmaxes_(static_cast<float>(model.n_heads * model.n_layers)),
      logits_(static_cast<size_t>(model.n_vocab) * plan.shape().max_rows),
      mass_(plan.counts_mass() ? static_cast<size_t>(plan.n_slots()) * plan.shape().max_rows : 0) {}

std::span<float> StepResults::next_logits(size_t n) {
  if (logits_.size() < n_logits_ + n) logits_.resize(n_logits_ + n);
  n_logits_ += n;
  return std::span(logits_).subspan(n_logits_ - n, n);
}

void StepResults::read_logits(const Graph& graph) {
  const std::span logits = next_logits(ggml_nelements(graph.logits));
  ggml_backend_tensor_get(graph.logits, logits.data(), 0, logits.size_bytes());
  require_finite(logits, "logits");
}

void StepResults::read_logits_or_exits(const Graph& rest, const EarlyExit& exit, int first) {
  const size_t width = exit.logits(first).size();
  const std::span logits = next_logits((exit.n_rows() - first) * width);
  if (rest.logits != nullptr) {
    ggml_backend_tensor_get(rest.logits, logits.data(), 0, logits.size_bytes());
  }
  for (int row = first; row < exit.n_rows(); ++row) {
    if (!exit.exits(row)) continue;
    std::ranges::copy(exit.logits(row), logits.subspan((row - first) * width).begin());
  }
  require_finite(logits, "logits");
}

std::span<const float> StepResults::read_mass(const Graph& graph) {
  const std::span read = std::span(mass_).first(ggml_nelements(graph.mass));
  ggml_backend_tensor_get(graph.mass, read.data(), 0, read.size_bytes());
  require_finite(read, "weights of attention");
  for (float& share : read) share /= n_softmaxes_;
  return read;
}

}  // namespace edgestream
