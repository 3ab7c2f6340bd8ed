// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/merge_graph.h"

#include <limits>
#include <stdexcept>

namespace edgestream {

namespace {

constexpr size_t kInputTensors = 8;

template <typename T>
void set_all(ggml_tensor* tensor, const std::vector<T>& values) {
  ggml_backend_tensor_set(tensor, values.data(), 0, values.size() * sizeof(T));
}

// Adds up the pairs' rows [width, n_merges], each by its share.
ggml_tensor* mean_of(ggml_context* c, ggml_tensor* older, ggml_tensor* newer,
                     const MergeInputs& inputs) {
  return ggml_add(c, ggml_mul(c, older, inputs.shares[0]), ggml_mul(c, newer, inputs.shares[1]));
}

// `rows` [width, n_slots] with a row in a slot.
ggml_tensor* merge_rows(ggml_context* c, ggml_tensor* rows, const MergeInputs& inputs) {
  ggml_tensor* const mean = mean_of(c, ggml_get_rows(c, rows, inputs.slots[0]),
                                    ggml_get_rows(c, rows, inputs.slots[1]), inputs);
  return ggml_set_rows(c, rows, mean, inputs.to_slots);
}

// `values` [n_slots, width], in which a row is a column.
ggml_tensor* merge_columns(ggml_context* c, ggml_tensor* values, const MergeInputs& inputs) {
  const int64_t width = values->ne[1];
  const int64_t n_merges = inputs.to_slots->ne[0];
  ggml_tensor* const cells = ggml_reshape_2d(c, values, 1, ggml_nelements(values));
  const auto side = [&](ggml_tensor* from) {
    return ggml_reshape_2d(c, ggml_get_rows(c, cells, from), width, n_merges);
  };
  ggml_tensor* const mean = mean_of(c, side(inputs.cells[0]), side(inputs.cells[1]), inputs);
  return ggml_set_rows(c, cells, ggml_reshape_2d(c, mean, 1, width * n_merges), inputs.to_cells);
}

}  // namespace

MergeInputs::MergeInputs(const GgufModel& model, const RingPlan& plan, const KvRing& ring)
    : n_slots_(plan.n_slots()),
      kv_width_(model.shape().kv_width()),
      context_(make_context(kInputTensors)) {
  const int64_t n = plan.shape().evict_rows;
  if (n_slots_ * kv_width_ > std::numeric_limits<int32_t>::max()) {
    throw std::invalid_argument("decoder: " + std::to_string(n_slots_) +
                                " slots are too many to merge rows; lower the window");
  }
  ggml_context* const c = context_.get();
  const auto vector = [c](bool needed, ggml_type type, int64_t size) {
    return needed ? ggml_new_tensor_1d(c, type, size) : nullptr;
  };
  const bool columns = ring.transposes_values();
  for (size_t side = 0; side < slots.size(); ++side) {
    slots[side] = vector(true, GGML_TYPE_I32, n);
    shares[side] = ggml_new_tensor_2d(c, GGML_TYPE_F32, 1, n);
    cells[side] = vector(columns, GGML_TYPE_I32, n * kv_width_);
  }
  to_slots = vector(true, GGML_TYPE_I64, n);
  to_cells = vector(columns, GGML_TYPE_I64, n * kv_width_);
  buffer_ = allocate_tensors(c, model.device(), "merge inputs");
  slots_.resize(n);
  to_slots_.resize(n);
  shares_.resize(n);
  cells_.resize(columns ? n * kv_width_ : 0);
  to_cells_.resize(cells_.size());
}

// Number by number of each row, where the values of a slot are a column.
template <typename T>
const std::vector<T>& MergeInputs::cells_of(const std::vector<T>& slots,
                                            std::vector<T>& cells) const {
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i] = static_cast<T>(i % kv_width_ * n_slots_ + slots[i / kv_width_]);
  }
  return cells;
}

void MergeInputs::send(std::span<const RowMerge> merges) {
  for (size_t side = 0; side < slots.size(); ++side) {
    for (size_t i = 0; i < merges.size(); ++i) {
      const auto& [from, weights, to] = merges[i];
      slots_[i] = from[side];
      to_slots_[i] = to;
      shares_[i] = static_cast<float>(weights[side]) / static_cast<float>(weights[0] + weights[1]);
    }
    set_all(slots[side], slots_);
    set_all(shares[side], shares_);
    if (cells[side] != nullptr) set_all(cells[side], cells_of(slots_, cells_));
  }
  set_all(to_slots, to_slots_);
  if (to_cells != nullptr) set_all(to_cells, cells_of(to_slots_, to_cells_));
}

Graph build_merge_graph(const GgufModel& model, const KvRing& ring, const MergeInputs& inputs) {
  const ModelShape& s = model.shape();
  Graph merge(s.n_layers);
  ggml_context* const c = merge.context.get();
  for (int layer = 0; layer < s.n_layers; ++layer) {
    ggml_tensor* const values = layer_of(c, ring.values, layer);
    merge.run(merge_rows(c, layer_of(c, ring.raw_keys, layer), inputs));
    // Those of a layer that does not rotate are not placed.
    if (!s.layers[layer].rope) merge.run(merge_rows(c, layer_of(c, ring.keys, layer), inputs));
    merge.run(ring.transposes_values() ? merge_columns(c, values, inputs)
                                       : merge_rows(c, values, inputs));
  }
  return merge;
}

}  // namespace edgestream
