// SPDX-License-Identifier: Apache-2.0
// What a step writes into the ring.
#pragma once

#include "decoder/graph/graph.h"
#include "decoder/graph/layer.h"
#include "decoder/graph/step_inputs.h"
#include "decoder/graph/step_kind.h"

namespace edgestream {

/// Adds the nodes to a step's graph that write its rows' keys and values, and place the attention
/// sinks.
class RowWriter {
 public:
  RowWriter(const LayerBuilder& layers, const ModelShape& shape, const KvRing& ring,
            const StepInputs& inputs, StepKind kind, Graph& step);

  /// Puts the sinks of all layers where the step's last row looks. There must be sinks.
  void place_sinks();

  /// Writes keys and values of a layer. `input` [n_embd, n] is what its projections read. Must be
  /// in the graph before the attention that reads them.
  void write(ggml_tensor* input, int layer);

 private:
  void place_sinks(LayerRun layers);
  ggml_tensor* write_values(ggml_tensor* value, ggml_tensor* values);
  ggml_tensor* as_rows(ggml_tensor* heads);

  ggml_context* const c_;
  const LayerBuilder& layers_;
  const ModelShape& shape_;
  const KvRing& ring_;
  const StepInputs& inputs_;
  const StepKind kind_;
  Graph& step_;
  ggml_tensor* const positions_;  // [n * parts]
  ggml_tensor* const key_slots_;  // [n]
};

}  // namespace edgestream
