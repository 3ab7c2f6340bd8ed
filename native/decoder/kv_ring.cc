// SPDX-License-Identifier: Apache-2.0
#include "decoder/kv_ring.h"

#include <numeric>
#include <vector>

namespace edgestream {

namespace {

constexpr size_t kRingTensors = 3;
constexpr size_t kInputTensors = 9;

}  // namespace

KvRing::KvRing(const GgufModel& model, const RingPlan& plan, ggml_type type)
    : context(make_context(kRingTensors)) {
  const ModelShape& s = model.shape();
  const int n_sinks = plan.shape().n_sinks;
  keys = ggml_new_tensor_3d(context.get(), type, s.kv_width(), plan.n_slots(), s.n_layers);
  values = ggml_new_tensor_3d(context.get(), type, plan.n_slots(), s.kv_width(), s.n_layers);
  sink_keys = n_sinks == 0 ? nullptr
                           : ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, s.kv_width(),
                                                s.n_layers, n_sinks);
  buffer = allocate_tensors(context.get(), model.device(), "KV ring");
}

void KvRing::copy_from(const KvRing& other) {
  ggml_tensor* from = ggml_get_first_tensor(other.context.get());
  for (ggml_tensor* to = ggml_get_first_tensor(context.get()); to != nullptr;
       to = ggml_get_next_tensor(context.get(), to)) {
    ggml_backend_tensor_copy(from, to);
    from = ggml_get_next_tensor(other.context.get(), from);
  }
}

StepInputs::StepInputs(const GgufModel& model, const RingPlan& plan)
    : context(make_context(kInputTensors)) {
  const ModelShape& s = model.shape();
  const int64_t n_rows = plan.shape().max_rows;
  const int64_t n_sinks = plan.shape().n_sinks;
  ggml_context* const c = context.get();
  embeddings = ggml_new_tensor_2d(c, GGML_TYPE_F32, s.n_embd, n_rows);
  positions = ggml_new_tensor_1d(c, GGML_TYPE_I32, n_rows);
  sink_query_positions = ggml_new_tensor_1d(c, GGML_TYPE_I32, n_rows);
  mask = ggml_new_tensor_2d(c, GGML_TYPE_F32, plan.n_slots(), n_rows);
  key_slots = ggml_new_tensor_1d(c, GGML_TYPE_I64, n_rows);
  value_cells = ggml_new_tensor_1d(c, GGML_TYPE_I64, n_rows * s.kv_width());
  rebase_turn = ggml_new_tensor_1d(c, GGML_TYPE_I32, 1);
  const bool has_sinks = n_sinks > 0;
  sink_positions = has_sinks ? ggml_new_tensor_1d(c, GGML_TYPE_I32, n_sinks) : nullptr;
  sink_slots = has_sinks ? ggml_new_tensor_1d(c, GGML_TYPE_I64, n_sinks) : nullptr;
  buffer = allocate_tensors(c, model.device(), "step inputs");
  if (!has_sinks) return;
  std::vector<int64_t> slots(n_sinks);
  std::iota(slots.begin(), slots.end(), 0);
  ggml_backend_tensor_set(sink_slots, slots.data(), 0, ggml_nbytes(sink_slots));
}

}  // namespace edgestream
