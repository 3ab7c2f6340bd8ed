// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring_config.h"

#include <stdexcept>

namespace edgestream {

namespace {

Layout read_layout(const std::string& name) {
  if (name == "one-clock") return Layout::kOneClock;
  if (name == "grouped") return Layout::kGrouped;
  if (name == "overlap") return Layout::kOverlap;
  throw std::invalid_argument("decoder: the layout '" + name +
                              "' is not known; known: one-clock, grouped, overlap");
}

}  // namespace

RingShape read_ring_shape(const RingDecoderConfig& config, int n_layers) {
  for (const int layer : config.attention_layers) {
    if (layer >= 0 && layer < n_layers) continue;
    throw std::invalid_argument("decoder: there is no layer " + std::to_string(layer) +
                                " to take attention from; this model has " +
                                std::to_string(n_layers));
  }
  return {.n_sinks = config.n_sinks,
          .regions = config.regions,
          .max_rows = config.max_rows,
          .rebase_rows = config.rebase_rows,
          .layout = read_layout(config.layout),
          .gap = config.gap};
}

}  // namespace edgestream
