// SPDX-License-Identifier: Apache-2.0
#include "decoder/file/architecture.h"

#include <algorithm>
#include <array>

namespace edgestream {

namespace {

// Llama 2 and 3, Mistral, SmolLM 2, Helium and the decoders of Kyutai stt and Voxtral Realtime are
// files of the first.
constexpr std::array kArchitectures = {
    Architecture{.name = "llama", .rope_factors = true, .biases = true, .delay_scales = true},
    Architecture{.name = "smollm3", .biases = true, .unrotated_layer_step = 4},
    Architecture{.name = "qwen2", .pairs_halves = true, .biases = true},
    Architecture{.name = "qwen3", .pairs_halves = true, .head_norms = true},
    Architecture{.name = "qwen2vl", .multi_axis = true, .pairs_halves = true, .biases = true},
    Architecture{.name = "qwen3vl",
                 .multi_axis = true,
                 .interleaves_axes = true,
                 .pairs_halves = true,
                 .deepstack = true,
                 .head_norms = true},
    Architecture{.name = "gemma3",
                 .pairs_halves = true,
                 .head_norms = true,
                 .post_norms = true,
                 .gelu = true,
                 .scales_tokens = true,
                 .local_layers = true},
};

}  // namespace

const Architecture* find_architecture(std::string_view name) {
  const auto* const found = std::ranges::find(kArchitectures, name, &Architecture::name);
  return found == kArchitectures.end() ? nullptr : found;
}

std::string architecture_names() {
  std::string names;
  for (const Architecture& each : kArchitectures) {
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  }
  return names;
}

}  // namespace edgestream
