// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring_decoder.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/ring/ring_numbers.h"
#include "decoder/one_caller.h"
#include "decoder/ring/row_walk.h"

namespace edgestream {

namespace {

// The rows of a group from its row `from` on, as the plan takes them.
void place_on_axes(const RegionRows& group, int64_t from, std::span<RowAxes> places) {
  std::ranges::fill(places, RowAxes{});
  if (group.axes.empty()) return;
  for (size_t row = 0; row < places.size(); ++row) {
    const auto axes = group.axes.subspan((from + row) * kAxes, kAxes);
    RowAxes& place = places[row];
    place.of_text = false;
    place.begins = from + row == 0;
    place.least = std::ranges::min(axes);
    for (size_t axis = 0; axis < kAxes; ++axis) place.above[axis] = axes[axis] - place.least;
  }
}

}  // namespace

RingDecoder::RingDecoder(std::shared_ptr<const GgufModel> model, const RingDecoderConfig& config)
    : model_(std::move(model)),
      config_(config),
      plan_(read_ring_shape(config, model_->shape())),
      runner_(*model_, plan_, config_),
      row_regions_(plan_.shape().max_rows),
      row_axes_(plan_.shape().max_rows),
      row_exits_(plan_.shape().max_rows) {}

void RingDecoder::reset() {
  const OneCaller caller(busy_);
  plan_.reset();
  // Hidden slots are multiplied by zero, which only hides what is finite.
  if (state_.failed()) ggml_backend_buffer_clear(runner_.ring().buffer.get(), 0);
  begin();
}

// Nothing of what was before is at work or remembered beside plan and ring.
void RingDecoder::begin() {
  runner_.clear_attention();
  n_exits_ = 0;
  state_.reset();
}

int64_t RingDecoder::checked_rows(std::span<const RegionRows> groups) const {
  const int64_t n_rows = Decoder::checked_rows(groups);
  int64_t pos = plan_.pos();
  for (const RegionRows& group : groups) {
    if (group.region > 0 && pos < plan_.shape().n_sinks) {
      throw std::invalid_argument("decoder: the first " + std::to_string(plan_.shape().n_sinks) +
                                  " rows are attention sinks and enter region 0, not " +
                                  std::to_string(group.region));
    }
    if (!group.axes.empty() && pos < plan_.shape().n_sinks) {
      throw std::invalid_argument("decoder: the first " + std::to_string(plan_.shape().n_sinks) +
                                  " rows are attention sinks and cannot have axes");
    }
    if (!group.axes.empty() && plan_.counts_mass()) {
      throw std::invalid_argument("decoder: rows with axes need the retention 'window', not '" +
                                  config_.retention + "'");
    }
    pos += static_cast<int64_t>(group.embeddings.size()) / n_embd();
  }
  return n_rows;
}

std::span<const float> RingDecoder::step(std::span<const RegionRows> groups, LogitsOf wanted) {
  const OneCaller caller(busy_);
  checked_rows(groups);
  state_.step([&] { append(groups, wanted); });
  return runner_.results().logits();
}

std::span<const float> RingDecoder::propose(std::span<const RegionRows> groups) {
  const OneCaller caller(busy_);
  state_.propose(checked_rows(groups), max_proposal(),
                 [&] { append(groups, LogitsOf::kEveryRow); });
  return runner_.results().logits();
}

// Logits of the last row are those of the last run.
void RingDecoder::append(std::span<const RegionRows> groups, LogitsOf wanted) {
  runner_.results().clear();
  RowWalk rows(groups, n_embd());
  int n_done = state_.n_proposed();  // rows before this run; there is room for a proposal's
  while (!rows.done()) {
    const int n_rows = plan_.next_rows(rows.n_left());
    if (n_done + n_rows > plan_.shape().max_rows) n_done = 0;
    const std::span regions = std::span(row_regions_).subspan(n_done, n_rows);
    const std::span axes = std::span(row_axes_).subspan(n_done, n_rows);
    rows.take(n_rows, [&](int first, const RegionRows& group, int64_t from, int n) {
      runner_.send_rows(first, group.embeddings.subspan(from * n_embd(), int64_t{n} * n_embd()));
      std::ranges::fill(regions.subspan(first, n), group.region);
      place_on_axes(group, from, axes.subspan(first, n));
    });
    const bool only_enters = wanted == LogitsOf::kLastRow && !rows.done();
    runner_.run(plan_, regions, axes, only_enters ? LogitsOf::kNone : wanted);
    for (int row = 0; row < n_rows; ++row) {
      row_exits_[n_done + row] = runner_.exited(row) ? 1 : 0;
      n_exits_ += row_exits_[n_done + row];
    }
    n_done += n_rows;
  }
}

void RingDecoder::keep(int n_rows) {
  const OneCaller caller(busy_);
  state_.require_keep(n_rows);
  const int n_proposed = state_.n_proposed();
  const auto dropped = std::span(row_axes_).subspan(n_rows, n_proposed - n_rows);
  if (!std::ranges::all_of(dropped, &RowAxes::of_text)) {
    throw std::invalid_argument("decoder: rows with axes cannot be taken back, keep all of them");
  }
  for (int row = n_proposed - 1; row >= n_rows; --row) {
    plan_.take_back(row_regions_[row]);
    n_exits_ -= row_exits_[row];
  }
  state_.close_proposal();
}

void RingDecoder::begin_unit() {
  const OneCaller caller(busy_);
  state_.require_ready();
  plan_.begin_unit();
}

std::span<const float> RingDecoder::attention(int region) const {
  require_region(region);
  return runner_.attention().of_region(region);
}

std::shared_ptr<Decoder> RingDecoder::fork() const {
  const OneCaller caller(busy_);
  state_.require_ready();
  auto other = std::make_shared<RingDecoder>(model_, config_);
  other->plan_ = plan_;
  other->runner_.ring().copy_from(runner_.ring());
  other->n_exits_ = n_exits_;
  return other;
}

void RingDecoder::follow(const RingDecoder& other) {
  if (&other == this || model_ != other.model_ || identity().memory != other.identity().memory) {
    throw std::invalid_argument("decoder: only one of the same model and memory can be followed");
  }
  const OneCaller caller(busy_);
  const OneCaller other_caller(other.busy_);
  other.state_.require_ready();
  plan_ = other.plan_;
  runner_.ring().copy_from(other.runner_.ring());
  begin();
  n_exits_ = other.n_exits_;
}

StateIdentity RingDecoder::identity() const {
  std::string memory = describe(plan_.shape()) + ", keys " + config_.kv_type;
  if (config_.exit_layer > 0) {
    memory += ", exit after layer " + std::to_string(config_.exit_layer) + " from " +
              std::to_string(config_.exit_threshold);
  }
  if (model_->shape().n_delays > 0) memory += ", delay " + std::to_string(config_.delay);
  return {.model = model_->fingerprint(), .memory = std::move(memory)};
}

void RingDecoder::save(const std::string& path) const {
  const OneCaller caller(busy_);
  state_.require_ready();
  write_state(path, identity(),
              {.plan = numbers_of(plan_.rows()), .ring = runner_.ring().contents()});
}

void RingDecoder::restore(const std::string& path) {
  const OneCaller caller(busy_);
  const RingState state = read_state(path, identity());
  RingRows rows = rows_of(state.plan, plan_.rows());
  runner_.ring().set_contents(state.ring);
  plan_.restore(std::move(rows));
  begin();
}

}  // namespace edgestream
