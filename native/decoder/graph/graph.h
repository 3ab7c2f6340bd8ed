// SPDX-License-Identifier: Apache-2.0
// A computation that is built once and run many times.
#pragma once

#include "decoder/graph/slot_shapes.h"

namespace edgestream {

/// Nodes over a stream's ring and inputs.
struct Graph {
  /// Room for a graph over a model of `n_layers` layers.
  explicit Graph(int n_layers) {
    constexpr size_t kTensorsPerLayer = 96;  // more than a layer has, views included
    constexpr size_t kTensorsBesides = 64;
    const size_t n_tensors = kTensorsPerLayer * n_layers + kTensorsBesides;
    context = make_context(n_tensors, n_tensors);
    nodes = ggml_new_graph_custom(context.get(), n_tensors, /*grads=*/false);
  }

  /// `node` and all that it needs are computed, in the order of these calls.
  void run(ggml_tensor* node) { ggml_build_forward_expand(nodes, node); }

  ContextHandle context;  // descriptions of the nodes
  ggml_cgraph* nodes;
  ggml_tensor* logits = nullptr;         // [n_vocab, rows that get some]
  ggml_tensor* probabilities = nullptr;  // [n_vocab, rows] of a front's logits
  // Weights of the last row [n_columns, n_heads], summed over layers.
  ggml_tensor* attention = nullptr;
  ggml_tensor* mass = nullptr;  // [n_columns, rows] weights, summed over layers and heads
  SlotShapes shapes;
};

}  // namespace edgestream
