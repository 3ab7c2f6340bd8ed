// SPDX-License-Identifier: Apache-2.0
// Owners of ggml's C objects.
#pragma once

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>
#include <gguf.h>

#include <memory>

namespace edgestream {

template <auto release>
struct Releaser {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};

using ContextHandle = std::unique_ptr<ggml_context, Releaser<ggml_free>>;
using BufferHandle = std::unique_ptr<ggml_backend_buffer, Releaser<ggml_backend_buffer_free>>;
using BackendHandle = std::unique_ptr<ggml_backend, Releaser<ggml_backend_free>>;
using AllocatorHandle = std::unique_ptr<ggml_gallocr, Releaser<ggml_gallocr_free>>;
using GgufHandle = std::unique_ptr<gguf_context, Releaser<gguf_free>>;

/// Room for the descriptions, not the data, of `n_tensors` tensors and `n_graph_nodes` nodes.
inline ContextHandle make_context(size_t n_tensors, size_t n_graph_nodes = 0) {
  const size_t bytes =
      n_tensors * ggml_tensor_overhead() +
      (n_graph_nodes > 0 ? ggml_graph_overhead_custom(n_graph_nodes, /*grads=*/false) : 0);
  return ContextHandle(ggml_init({bytes, /*mem_buffer=*/nullptr, /*no_alloc=*/true}));
}

}  // namespace edgestream
