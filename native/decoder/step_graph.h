// SPDX-License-Identifier: Apache-2.0
// The computation of a step: a model's layers with attention over a ring.
#pragma once

#include "core/decoder.h"
#include "decoder/graph.h"
#include "decoder/step_inputs.h"

namespace edgestream {

/// What distinguishes one graph from another.
struct StepKind {
  int n_rows = 1;
  bool into_sinks = false;  ///< the rows are sinks: their unrotated keys are kept too
  LogitsOf logits = LogitsOf::kLastRow;
};

/// The model over the ring: attention as a softmax in which the query heads that share a key head
/// are rows of one product ("folded"), so every key is read once. Attention is captured from
/// `attention_layers` where there are logits.
Graph build_step_graph(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                       const StepInputs& inputs, StepKind kind,
                       std::span<const int> attention_layers);

}  // namespace edgestream
