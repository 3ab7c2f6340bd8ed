// SPDX-License-Identifier: Apache-2.0
// What a stream over a model is to keep and how, as its user says it.
#pragma once

#include <string>
#include <vector>

#include "core/ring/ring_plan.h"
#include "decoder/file/model_shape.h"

namespace edgestream {

struct RingDecoderConfig {
  int n_sinks = 0;                        ///< attention sinks: first rows, kept for ever
  std::vector<RegionShape> regions = {};  ///< what is kept besides
  int n_threads = 1;                      ///< small models are fastest on one
  std::string kv_type = "f16";            ///< of keys and values: f32, f16, bf16, q8_0 or q4_0
  int max_rows = 32;    ///< rows computed at once; a power of two. More memory, faster ingest
  int rebase_rows = 0;  ///< positions between two rebases; 0: chosen by the plan
  std::string layout = "one-clock";        ///< of several regions: or "grouped", "overlap"
  int gap = 0;                             ///< see Layout::kGrouped
  std::vector<int> attention_layers = {};  ///< whose attention is captured
  std::string retention = "window";        ///< who leaves: or "heavy-hitter", "merge"
  int recent = 0;                          ///< see RingShape
  int evict_rows = 0;                      ///< see RingShape
  int exit_layer = 0;           ///< layers before the exit, see EarlyExit; 0: no early exit
  float exit_threshold = 0.9F;  ///< a row exits that is at least so sure; above 1: none does
  int delay = 0;                ///< in steps, of a model that is told the stream's delay
};

/// The shape of the memory; its numbers are checked by the plan. Throws std::invalid_argument on a
/// layout or retention that does not exist, a layer or a delay that `model` does not have, or an
/// exit that cannot be.
RingShape read_ring_shape(const RingDecoderConfig& config, const ModelShape& model);

}  // namespace edgestream
