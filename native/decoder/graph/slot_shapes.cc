// SPDX-License-Identifier: Apache-2.0
#include "decoder/graph/slot_shapes.h"

#include <stdexcept>
#include <utility>

namespace edgestream {

SlotShapes::SlotShapes(std::span<const SlotSpan> reads) : changes_(reads.size()) {
  for (const SlotSpan& read : reads) blocks_.push_back(read.n / kSlotBlock);
}

SlotShapes::Numbers SlotShapes::numbers_of(const ggml_tensor& tensor) {
  Numbers numbers{};
  for (size_t i = 0; i < GGML_MAX_DIMS; ++i) {
    numbers[i] = tensor.ne[i];
    numbers[GGML_MAX_DIMS + i] = static_cast<int64_t>(tensor.nb[i]);
  }
  numbers.back() = static_cast<int64_t>(tensor.view_offs);
  return numbers;
}

void SlotShapes::learn(ggml_context* graph, ggml_context* shorter, int region) {
  ggml_tensor* other = ggml_get_first_tensor(shorter);
  ggml_tensor* tensor = ggml_get_first_tensor(graph);
  for (; tensor != nullptr && other != nullptr && tensor->op == other->op;
       tensor = ggml_get_next_tensor(graph, tensor), other = ggml_get_next_tensor(shorter, other)) {
    Numbers per_block = numbers_of(*tensor);
    const Numbers less = numbers_of(*other);
    for (size_t i = 0; i < per_block.size(); ++i) per_block[i] -= less[i];
    if (per_block != Numbers{}) changes_[region].push_back({tensor, per_block});
  }
  if (tensor != other) throw std::logic_error("decoder: a graph over fewer slots is another graph");
}

void SlotShapes::add(const Change& change, int64_t n_blocks) {
  ggml_tensor& tensor = *change.tensor;
  for (size_t i = 0; i < GGML_MAX_DIMS; ++i) {
    tensor.ne[i] += change.per_block[i] * n_blocks;
    tensor.nb[i] += change.per_block[GGML_MAX_DIMS + i] * n_blocks;
  }
  if (change.per_block.back() == 0) return;
  tensor.view_offs += change.per_block.back() * n_blocks;
  tensor.data = static_cast<char*>(tensor.view_src->data) + tensor.view_offs;
}

void SlotShapes::set(std::span<const SlotSpan> reads) {
  for (size_t region = 0; region < blocks_.size(); ++region) {
    const int now = reads[region].n / kSlotBlock;
    const int before = std::exchange(blocks_[region], now);
    if (now == before) continue;
    for (const Change& change : changes_[region]) add(change, now - before);
  }
}

}  // namespace edgestream
