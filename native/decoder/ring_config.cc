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

Retention read_retention(const std::string& name) {
  if (name == "window") return Retention::kWindow;
  if (name == "heavy-hitter") return Retention::kHeavyHitter;
  if (name == "merge") return Retention::kMerge;
  throw std::invalid_argument("decoder: the retention '" + name +
                              "' is not known; known: window, heavy-hitter, merge");
}

}  // namespace

RingShape read_ring_shape(const RingDecoderConfig& config, int n_layers) {
  for (const int layer : config.attention_layers) {
    if (layer >= 0 && layer < n_layers) continue;
    throw std::invalid_argument("decoder: there is no layer " + std::to_string(layer) +
                                " to take attention from; this model has " +
                                std::to_string(n_layers));
  }
  const Retention retention = read_retention(config.retention);
  if (retention != Retention::kWindow && !config.attention_layers.empty()) {
    throw std::invalid_argument("decoder: with the retention '" + config.retention +
                                "' the kept rows do not lie side by side in the stream, so there "
                                "is no attention to take from layers; use 'window'");
  }
  return {.n_sinks = config.n_sinks,
          .regions = config.regions,
          .max_rows = config.max_rows,
          .rebase_rows = config.rebase_rows,
          .layout = read_layout(config.layout),
          .gap = config.gap,
          .retention = retention,
          .recent = config.recent,
          .evict_rows = config.evict_rows};
}

}  // namespace edgestream
