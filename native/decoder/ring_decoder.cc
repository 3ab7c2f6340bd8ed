// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring_decoder.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "decoder/one_caller.h"

namespace edgestream {

RingDecoder::RingDecoder(std::shared_ptr<const GgufModel> model, const RingDecoderConfig& config)
    : model_(std::move(model)),
      config_(config),
      plan_(read_ring_shape(config, model_->shape())),
      backend_(open_device(model_->device(), config.n_threads)),
      ring_(*model_, plan_, read_kv_type(config.kv_type, model_->shape())),
      inputs_(*model_, plan_, ring_, config.exit_layer > 0),
      merges_(plan_.shape().retention == Retention::kMerge
                  ? std::make_unique<MergeInputs>(*model_, plan_, ring_)
                  : nullptr),
      graphs_(*model_, plan_, ring_, inputs_, merges_.get(), config_),
      row_regions_(plan_.shape().max_rows),
      row_axes_(plan_.shape().max_rows),
      row_exits_(plan_.shape().max_rows),
      logits_(static_cast<size_t>(model_->shape().n_vocab) * plan_.shape().max_rows),
      mass_(plan_.counts_mass() ? static_cast<size_t>(plan_.n_slots()) * plan_.shape().max_rows
                                : 0),
      attention_(plan_, model_->shape().n_heads, static_cast<int>(config.attention_layers.size())) {
  if (config.exit_layer > 0) exit_.emplace(n_vocab(), max_proposal(), config.exit_threshold);
}

size_t RingDecoder::state_bytes() const {
  return ggml_backend_buffer_get_size(ring_.buffer.get()) + inputs_.n_bytes() +
         (merges_ == nullptr ? 0 : merges_->n_bytes()) + graphs_.n_bytes();
}

void RingDecoder::reset() {
  const OneCaller caller(busy_);
  plan_.reset();
  n_proposed_ = 0;
  n_exits_ = 0;
  attention_.clear();
  // Hidden slots are multiplied by zero, which only hides what is finite.
  if (failed_) ggml_backend_buffer_clear(ring_.buffer.get(), 0);
  failed_ = false;
}

int64_t RingDecoder::checked_rows(std::span<const RegionRows> groups) const {
  const int64_t n_rows = Decoder::checked_rows(groups);
  int64_t pos = plan_.pos();
  for (const RegionRows& group : groups) {
    if (group.region > 0 && pos < plan_.shape().n_sinks) {
      throw std::invalid_argument("decoder: the first " + std::to_string(plan_.shape().n_sinks) +
                                  " rows are sinks and enter region 0, not " +
                                  std::to_string(group.region));
    }
    if (!group.axes.empty() && pos < plan_.shape().n_sinks) {
      throw std::invalid_argument("decoder: the first " + std::to_string(plan_.shape().n_sinks) +
                                  " rows are sinks and cannot have axes");
    }
    if (!group.axes.empty() && plan_.counts_mass()) {
      throw std::invalid_argument("decoder: rows with axes need the retention 'window', not '" +
                                  config_.retention + "'");
    }
    pos += static_cast<int64_t>(group.embeddings.size()) / n_embd();
  }
  return n_rows;
}

void RingDecoder::check_ready() const {
  if (n_proposed_ > 0) {
    throw std::invalid_argument("decoder: a proposal of " + std::to_string(n_proposed_) +
                                " rows is open; keep() some or none of them first");
  }
  check_sound();
}

void RingDecoder::check_sound() const {
  if (failed_) throw std::runtime_error("decoder: an earlier step failed; reset the stream");
}

std::span<const float> RingDecoder::step(std::span<const RegionRows> groups, LogitsOf wanted) {
  const OneCaller caller(busy_);
  checked_rows(groups);
  check_ready();
  append(groups, wanted);
  return std::span(logits_).first(n_logits_);
}

std::span<const float> RingDecoder::propose(std::span<const RegionRows> groups) {
  const OneCaller caller(busy_);
  const int64_t n_rows = n_proposed_ + checked_rows(groups);
  check_sound();
  if (n_rows > max_proposal()) {
    throw std::invalid_argument("decoder: a proposal of " + std::to_string(n_rows) +
                                " rows, this decoder takes up to " +
                                std::to_string(max_proposal()) + " (max_rows)");
  }
  append(groups, LogitsOf::kEveryRow);
  n_proposed_ = static_cast<int>(n_rows);
  return std::span(logits_).first(n_logits_);
}

void RingDecoder::keep(int n_rows) {
  const OneCaller caller(busy_);
  if (n_rows < 0 || n_rows > n_proposed_ || n_proposed_ == 0) {
    throw std::invalid_argument("decoder: cannot keep " + std::to_string(n_rows) +
                                " rows of an open proposal of " + std::to_string(n_proposed_));
  }
  const auto dropped = std::span(row_axes_).subspan(n_rows, n_proposed_ - n_rows);
  if (!std::ranges::all_of(dropped, &RowAxes::of_text)) {
    throw std::invalid_argument("decoder: rows with axes cannot be taken back, keep all of them");
  }
  for (int row = n_proposed_ - 1; row >= n_rows; --row) {
    plan_.take_back(row_regions_[row]);
    n_exits_ -= row_exits_[row];
  }
  n_proposed_ = 0;
}

void RingDecoder::begin_unit() {
  const OneCaller caller(busy_);
  check_ready();
  plan_.begin_unit();
}

std::span<const float> RingDecoder::attention(int region) const {
  require_region(region);
  return attention_.of_region(region);
}

std::unique_ptr<Decoder> RingDecoder::fork() const {
  const OneCaller caller(busy_);
  check_ready();
  auto other = std::make_unique<RingDecoder>(model_, config_);
  other->plan_ = plan_;
  other->ring_.copy_from(ring_);
  other->n_exits_ = n_exits_;
  return other;
}

StateIdentity RingDecoder::identity() const {
  std::string memory = describe(plan_.shape()) + ", keys " + config_.kv_type;
  if (exit_) {
    memory += ", exit after layer " + std::to_string(config_.exit_layer) + " from " +
              std::to_string(config_.exit_threshold);
  }
  if (model_->shape().n_delays > 0) memory += ", delay " + std::to_string(config_.delay);
  return {.model = model_->fingerprint(), .memory = std::move(memory)};
}

void RingDecoder::save(const std::string& path) const {
  const OneCaller caller(busy_);
  check_ready();
  write_state(path, identity(), {.plan = plan_.numbers(), .ring = ring_.contents()});
}

void RingDecoder::restore(const std::string& path) {
  const OneCaller caller(busy_);
  const RingState state = read_state(path, identity());
  RingPlan plan = plan_;
  plan.restore(state.plan);
  ring_.set_contents(state.ring);
  plan_ = std::move(plan);
  attention_.clear();
  n_proposed_ = 0;
  n_exits_ = 0;
  failed_ = false;
}

}  // namespace edgestream
