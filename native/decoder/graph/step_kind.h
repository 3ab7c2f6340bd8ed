// SPDX-License-Identifier: Apache-2.0
// What distinguishes one graph of a step from another.
#pragma once

#include "core/ring/decoder.h"

namespace edgestream {

/// What of a step a graph computes. With early exit a step is its front, and then its back or its
/// fill.
enum class StepPart {
  kWhole,  ///< all layers
  kFront,  ///< the layers before the exit, and what the exit says of every row
  kBack,   ///< the layers behind it, for a step of which some row goes on
  kFill,   ///< only the keys and values of those layers, for a step of which every row exits
};

struct StepKind {
  int n_rows = 1;
  bool into_sinks = false;  ///< the rows are attention sinks: their unrotated keys are kept too
  LogitsOf logits = LogitsOf::kLastRow;  ///< of the whole and the back
  StepPart part = StepPart::kWhole;
};

}  // namespace edgestream
