// SPDX-License-Identifier: Apache-2.0
// The computation of a step: a model's layers with attention over a ring.
#pragma once

#include "decoder/graph/graph.h"
#include "decoder/graph/step_inputs.h"
#include "decoder/graph/step_kind.h"
#include "decoder/ring/ring_config.h"

namespace edgestream {

/// The model over the ring: attention as a softmax in which the query heads that share a key head
/// are rows of one product ("folded"), so every key is read once. Attention is captured from the
/// attention_layers of `config` where there are logits; the exit lies behind its exit_layer layers.
/// It reads the slots `reads` of each region, one or more blocks.
Graph build_step_graph(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                       const StepInputs& inputs, StepKind kind, std::span<const SlotSpan> reads,
                       const RingDecoderConfig& config);

}  // namespace edgestream
