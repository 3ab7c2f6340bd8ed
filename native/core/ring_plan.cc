// SPDX-License-Identifier: Apache-2.0
#include "core/ring_plan.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>
#include <string>

namespace edgestream {

namespace {

// ggml sums 64 products at a time (AVX-512); a partial block would be summed in another order.
constexpr int kSlotMultiple = 64;
constexpr int kMaxSinks = 1 << 16;
constexpr int kMaxWindow = 1 << 20;
constexpr int kMaxRows = 1 << 10;
constexpr int kMaxRebaseRows = 1 << 22;
// An angle in float32 is off by 6e-8 of the position: keeping positions near the window keeps the
// logits of float32 rings within 1e-4 of float64. Turning the keys back costs each row once more
// than writing it did, under 1% of a step.
constexpr int kDefaultRebaseRows = 64;

void check(const char* what, int value, int low, int high) {
  if (value < low || value > high) {
    throw std::invalid_argument("ring: " + std::string(what) + " is " + std::to_string(value) +
                                ", it must be " + std::to_string(low) + " to " +
                                std::to_string(high));
  }
}

RingShape checked(RingShape shape) {
  check("n_sinks", shape.n_sinks, 0, kMaxSinks);
  check("window", shape.window, 1, kMaxWindow);
  check("max_rows", shape.max_rows, 1, kMaxRows);
  if (!std::has_single_bit(static_cast<unsigned>(shape.max_rows))) {
    throw std::invalid_argument("ring: max_rows is " + std::to_string(shape.max_rows) +
                                ", it must be a power of two");
  }
  const int least = shape.window + shape.max_rows;
  if (shape.rebase_rows == 0) shape.rebase_rows = std::max(kDefaultRebaseRows, least);
  check("rebase_rows", shape.rebase_rows, least, kMaxRebaseRows);
  return shape;
}

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace

RingPlan::RingPlan(RingShape shape)
    : shape_(checked(shape)),
      ring_slots_(shape_.window + shape_.max_rows - 1),
      n_slots_(round_up(shape_.n_sinks + ring_slots_, kSlotMultiple)),
      far_(int64_t{shape_.n_sinks} + shape_.window - 1),
      slots_(shape_.max_rows),
      positions_(shape_.max_rows),
      sink_query_positions_(shape_.max_rows) {}

int RingPlan::next_rows(int64_t n_waiting) const {
  int64_t n = std::min<int64_t>(n_waiting, shape_.max_rows);
  if (pos_ < shape_.n_sinks) n = std::min(n, shape_.n_sinks - pos_);
  return static_cast<int>(std::bit_floor(static_cast<uint64_t>(n)));
}

int64_t RingPlan::slot_of(int64_t pos) const {
  return pos < shape_.n_sinks ? pos : shape_.n_sinks + (pos - shape_.n_sinks) % ring_slots_;
}

// A visible key is rotated back at most once: two rebases are more than a window apart.
int32_t RingPlan::rebase_before(int64_t first, int64_t last) {
  if (last - base_ <= far_ + shape_.rebase_rows) return 0;
  const int64_t by = first - base_ - (far_ + 1);
  base_ += by;
  return static_cast<int32_t>(by);
}

const RingStep& RingPlan::take(int n_rows) {
  const int64_t first = pos_;
  const int64_t last = pos_ + n_rows - 1;
  step_.n_rows = n_rows;
  step_.into_sinks = first < shape_.n_sinks;
  step_.rebase_by = rebase_before(first, last);
  step_.sink_position = static_cast<int32_t>(last - base_ - std::min(last, far_));
  for (int row = 0; row < n_rows; ++row) {
    const int64_t pos = first + row;
    slots_[row] = slot_of(pos);
    positions_[row] = static_cast<int32_t>(pos - base_);
    sink_query_positions_[row] = static_cast<int32_t>(step_.sink_position + std::min(pos, far_));
  }
  const auto n = static_cast<size_t>(n_rows);
  step_.slots = {slots_.data(), n};
  step_.positions = {positions_.data(), n};
  step_.sink_query_positions = {sink_query_positions_.data(), n};
  pos_ += n_rows;
  return step_;
}

void RingPlan::write_mask(std::span<float> mask) const {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  std::ranges::fill(mask, kHidden);
  for (int row = 0; row < step_.n_rows; ++row) {
    float* const seen = mask.data() + int64_t{row} * n_slots_;
    const int64_t pos = pos_ - step_.n_rows + row;
    std::fill_n(seen, std::min<int64_t>(pos + 1, shape_.n_sinks), 0.F);
    const int64_t oldest = std::max<int64_t>(pos - shape_.window + 1, shape_.n_sinks);
    const int64_t n_keys = pos - oldest + 1;
    if (n_keys <= 0) continue;
    const int64_t start = slot_of(oldest);
    const int64_t before_wrap = std::min(n_keys, shape_.n_sinks + ring_slots_ - start);
    std::fill_n(seen + start, before_wrap, 0.F);
    std::fill_n(seen + shape_.n_sinks, n_keys - before_wrap, 0.F);
  }
}

void RingPlan::reset() {
  pos_ = 0;
  base_ = 0;
  step_ = {};
}

}  // namespace edgestream
