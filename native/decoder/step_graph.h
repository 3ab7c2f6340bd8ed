// SPDX-License-Identifier: Apache-2.0
// The computation of a step: built once per kind of step, run many times.
#pragma once

#include "core/decoder.h"
#include "decoder/kv_ring.h"
#include "decoder/layer.h"

namespace edgestream {

/// What distinguishes one graph from another.
struct StepKind {
  int n_rows = 1;
  bool into_sinks = false;  ///< the rows are sinks: their unrotated keys are kept too
  LogitsOf logits = LogitsOf::kLastRow;
};

/// A graph over a stream's ring and inputs. `logits` [n_vocab, rows that get some], or null.
struct StepGraph {
  ContextHandle context;  // descriptions of the nodes
  ggml_cgraph* graph = nullptr;
  ggml_tensor* logits = nullptr;
};

/// The model over the ring: attention as a softmax in which the query heads that
/// share a key head are rows of one product ("folded"), so every key is read once.
StepGraph build_step_graph(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                           const StepInputs& inputs, StepKind kind);

/// Rotates every key by the inputs' rebase_turn.
StepGraph build_rebase_graph(const GgufModel& model, const KvRing& ring, const StepInputs& inputs);

}  // namespace edgestream
