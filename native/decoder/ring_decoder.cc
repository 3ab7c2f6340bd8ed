// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring_decoder.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "decoder/row_walk.h"

namespace edgestream {

namespace {

// Marks the decoder as at work for as long as it lives.
class Turn {
 public:
  explicit Turn(std::atomic_flag& busy) : busy_(busy) {
    if (busy_.test_and_set(std::memory_order_acquire)) {
      throw std::runtime_error("decoder: another thread is using it; give each its own");
    }
  }
  ~Turn() { busy_.clear(std::memory_order_release); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::atomic_flag& busy_;
};

}  // namespace

RingDecoder::RingDecoder(std::shared_ptr<const GgufModel> model, const RingDecoderConfig& config)
    : model_(std::move(model)),
      config_(config),
      plan_(read_ring_shape(config, model_->shape().n_layers)),
      backend_(open_device(model_->device(), config.n_threads)),
      ring_(*model_, plan_, read_kv_type(config.kv_type, model_->shape())),
      inputs_(*model_, plan_, ring_),
      merges_(plan_.shape().retention == Retention::kMerge
                  ? std::make_unique<MergeInputs>(*model_, plan_, ring_)
                  : nullptr),
      graphs_(*model_, plan_, ring_, inputs_, merges_.get(), config_.attention_layers),
      row_regions_(plan_.shape().max_rows),
      row_axes_(plan_.shape().max_rows),
      logits_(static_cast<size_t>(model_->shape().n_vocab) * plan_.shape().max_rows),
      mass_(plan_.counts_mass() ? static_cast<size_t>(plan_.n_slots()) * plan_.shape().max_rows
                                : 0),
      attention_(plan_.n_regions()) {
  int greatest = 0;
  for (const RegionShape& region : config_.regions) greatest = std::max(greatest, region.window);
  if (!config_.attention_layers.empty()) {
    head_weights_.resize(static_cast<size_t>(model_->shape().n_heads) * plan_.n_slots());
    seen_slots_.reserve(greatest);
    for (std::vector<float>& region : attention_) region.reserve(greatest);
  }
}

size_t RingDecoder::state_bytes() const {
  return ggml_backend_buffer_get_size(ring_.buffer.get()) + inputs_.n_bytes() +
         (merges_ == nullptr ? 0 : merges_->n_bytes()) + graphs_.n_bytes();
}

void RingDecoder::reset() {
  const Turn turn(busy_);
  plan_.reset();
  n_proposed_ = 0;
  for (std::vector<float>& region : attention_) region.clear();
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
  const Turn turn(busy_);
  checked_rows(groups);
  check_ready();
  append(groups, wanted);
  return std::span(logits_).first(n_logits_);
}

std::span<const float> RingDecoder::propose(std::span<const RegionRows> groups) {
  const Turn turn(busy_);
  const int64_t n_rows = n_proposed_ + checked_rows(groups);
  check_sound();
  if (!std::ranges::all_of(groups, &std::span<const int32_t>::empty, &RegionRows::axes)) {
    throw std::invalid_argument("decoder: rows with axes cannot be proposed, only be taken");
  }
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
  const Turn turn(busy_);
  if (n_rows < 0 || n_rows > n_proposed_ || n_proposed_ == 0) {
    throw std::invalid_argument("decoder: cannot keep " + std::to_string(n_rows) +
                                " rows of an open proposal of " + std::to_string(n_proposed_));
  }
  for (int row = n_proposed_ - 1; row >= n_rows; --row) plan_.take_back(row_regions_[row]);
  n_proposed_ = 0;
}

void RingDecoder::begin_unit() {
  const Turn turn(busy_);
  check_ready();
  plan_.begin_unit();
}

std::span<const float> RingDecoder::attention(int region) const {
  require_region(region);
  return attention_[region];
}

std::unique_ptr<Decoder> RingDecoder::fork() const {
  const Turn turn(busy_);
  check_ready();
  auto other = std::make_unique<RingDecoder>(model_, config_);
  other->plan_ = plan_;
  other->ring_.copy_from(ring_);
  return other;
}

StateIdentity RingDecoder::identity() const {
  return {.model = model_->fingerprint(),
          .memory = describe(plan_.shape()) + ", keys " + config_.kv_type};
}

void RingDecoder::save(const std::string& path) const {
  const Turn turn(busy_);
  check_ready();
  write_state(path, identity(), {.plan = plan_.numbers(), .ring = ring_.contents()});
}

void RingDecoder::restore(const std::string& path) {
  const Turn turn(busy_);
  const RingState state = read_state(path, identity());
  RingPlan plan = plan_;
  plan.restore(state.plan);
  ring_.set_contents(state.ring);
  plan_ = std::move(plan);
  for (std::vector<float>& region : attention_) region.clear();
  n_proposed_ = 0;
  failed_ = false;
}

// Logits of the last row are those of the last run.
void RingDecoder::append(std::span<const RegionRows> groups, LogitsOf wanted) {
  failed_ = true;
  n_logits_ = 0;
  RowWalk rows(groups, n_embd());
  int n_done = n_proposed_;  // rows before this run; there is room for those of a proposal
  while (!rows.done()) {
    const int n_rows = plan_.next_rows(rows.n_alike());
    if (n_done + n_rows > plan_.shape().max_rows) n_done = 0;
    const std::span regions = std::span(row_regions_).subspan(n_done, n_rows);
    bool with_axes = false;
    rows.take(n_rows, [&](int first, const RegionRows& group, int64_t from, int n) {
      inputs_.send_rows(first, group.embeddings.subspan(from * n_embd(), int64_t{n} * n_embd()));
      std::ranges::fill(regions.subspan(first, n), group.region);
      with_axes = !group.axes.empty();
      if (with_axes) place_on_axes(group, from, n);
    });
    n_done += n_rows;
    const bool only_enters = wanted == LogitsOf::kLastRow && !rows.done();
    run_rows(regions, std::span(row_axes_).first(with_axes ? n_rows : 0),
             only_enters ? LogitsOf::kNone : wanted);
  }
  failed_ = false;
}

// All rows of a group count from the position that its first one found.
void RingDecoder::place_on_axes(const RegionRows& group, int64_t from, int n) {
  if (from == 0) group_position_ = plan_.next_position(group.region);
  for (int row = 0; row < n; ++row) {
    const auto axes = group.axes.subspan((from + row) * kAxes, kAxes);
    const int32_t least = std::ranges::min(axes);
    row_axes_[row].position = group_position_ + least;
    for (size_t axis = 0; axis < kAxes; ++axis) row_axes_[row].above[axis] = axes[axis] - least;
  }
}

void RingDecoder::run_rows(std::span<const int> regions, std::span<const RowAxes> axes,
                           LogitsOf wanted) {
  const RingStep& step = plan_.take(regions, axes);
  move_keys(step);
  inputs_.send_places(plan_, step);
  Graph& graph = graphs_.step({step.n_rows, step.into_sinks, wanted});
  compute(graph);
  if (graph.logits != nullptr) read_logits(graph);
  if (graph.attention != nullptr) read_attention(graph);
  if (graph.mass != nullptr) read_mass(graph);
}

void RingDecoder::move_keys(const RingStep& step) {
  if (!step.merges.empty()) {
    merges_->send(step.merges);
    compute(graphs_.merge());
  }
  if (step.place_keys) {
    inputs_.send_key_positions(plan_);
    compute(graphs_.place());
  }
  for (int clock = 0; clock < plan_.n_clocks(); ++clock) {
    if (step.rebase_by[clock] == 0) continue;
    inputs_.send_turn(-step.rebase_by[clock]);
    compute(graphs_.turn(clock));
  }
}

void RingDecoder::compute(Graph& graph) {
  const ggml_status status = ggml_backend_graph_compute(backend_.get(), graph.nodes);
  if (status != GGML_STATUS_SUCCESS) {
    throw std::runtime_error("decoder: " + std::string(ggml_backend_dev_name(model_->device())) +
                             " failed to compute a step (" + ggml_status_to_string(status) +
                             "); reset the stream");
  }
}

}  // namespace edgestream
