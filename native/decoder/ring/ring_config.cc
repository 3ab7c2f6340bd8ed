// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring/ring_config.h"

#include <algorithm>
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

void check_exit(const RingDecoderConfig& config, int n_layers) {
  const int exit = config.exit_layer;
  if (exit < 0 || exit >= n_layers) {
    throw std::invalid_argument("decoder: exit_layer is " + std::to_string(exit) +
                                ", must be 0 (no early exit) to " + std::to_string(n_layers - 1) +
                                ": it counts the layers before the exit, and this model has " +
                                std::to_string(n_layers));
  }
  if (!(config.exit_threshold >= 0.F)) {
    throw std::invalid_argument(
        "decoder: exit_threshold is a probability from 0 (every row exits) to 1; more: none exits");
  }
  if (exit > 0 && std::ranges::any_of(config.attention_layers, [&](int l) { return l >= exit; })) {
    throw std::invalid_argument("decoder: attention can be captured from the layers before the " +
                                std::string("exit only, from 0 to ") + std::to_string(exit - 1) +
                                "; rows that exit have none in the later ones");
  }
}

void check_delay(int delay, int n_delays) {
  if (delay >= 0 && delay < std::max(n_delays, 1)) return;
  throw std::invalid_argument("decoder: a delay of " + std::to_string(delay) +
                              " steps; this model " +
                              (n_delays == 0 ? "is not told its delay, give 0"
                                             : "has 0 to " + std::to_string(n_delays - 1)));
}

}  // namespace

RingShape read_ring_shape(const RingDecoderConfig& config, const ModelShape& model) {
  check_delay(config.delay, model.n_delays);
  for (const int layer : config.attention_layers) {
    if (layer >= 0 && layer < model.n_layers) continue;
    throw std::invalid_argument("decoder: there is no layer " + std::to_string(layer) +
                                " to take attention from; this model has " +
                                std::to_string(model.n_layers));
  }
  const Retention retention = read_retention(config.retention);
  if (retention != Retention::kWindow && !config.attention_layers.empty()) {
    throw std::invalid_argument("decoder: with the retention '" + config.retention +
                                "' the kept rows do not lie side by side in the stream, so there "
                                "is no attention to take from layers; use 'window'");
  }
  check_exit(config, model.n_layers);
  if (retention != Retention::kWindow && config.exit_layer > 0) {
    throw std::invalid_argument("decoder: with the retention '" + config.retention +
                                "' all layers' attention is counted, and rows that exit early "
                                "have none in the later ones; use 'window' or no exit_layer");
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
