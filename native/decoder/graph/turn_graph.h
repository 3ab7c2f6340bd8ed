// SPDX-License-Identifier: Apache-2.0
// Moving kept keys to other positions.
#pragma once

#include "decoder/graph/graph.h"
#include "decoder/graph/step_inputs.h"

namespace edgestream {

/// Rotates every key of a clock by the inputs' `turn`.
Graph build_turn_graph(const GgufModel& model, const RingPlan& plan, const KvRing& ring,
                       const StepInputs& inputs, int clock);

/// Writes every key anew, from what it was before rotation, at the inputs' `key_positions`.
Graph build_place_graph(const GgufModel& model, const KvRing& ring, const StepInputs& inputs);

}  // namespace edgestream
