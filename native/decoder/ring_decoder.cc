// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring_decoder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace edgestream {

namespace {

constexpr size_t kKindsPerSize = 4;  // into sinks or not, with logits or not

ggml_type read_kv_type(const std::string& name) {
  if (name == "f16") return GGML_TYPE_F16;
  if (name == "f32") return GGML_TYPE_F32;
  throw std::invalid_argument("decoder: keys and values of the type '" + name +
                              "' are not supported; supported: f16, f32");
}

size_t graph_index(StepKind kind) {
  const size_t size = std::countr_zero(static_cast<unsigned>(kind.n_rows));
  return size * kKindsPerSize + 2 * kind.into_sinks + kind.wants_logits;
}

StepKind graph_kind(size_t index) {
  return {.n_rows = 1 << (index / kKindsPerSize),
          .into_sinks = (index & 2) != 0,
          .wants_logits = (index & 1) != 0};
}

template <typename T>
void set_front(ggml_tensor* tensor, std::span<const T> values) {
  ggml_backend_tensor_set(tensor, values.data(), 0, values.size_bytes());
}

void check_supported(ggml_backend_dev_t device, const StepGraph& step) {
  for (int i = 0; i < ggml_graph_n_nodes(step.graph); ++i) {
    ggml_tensor* const node = ggml_graph_node(step.graph, i);
    if (!ggml_backend_dev_supports_op(device, node)) {
      throw std::runtime_error("device: " + std::string(ggml_backend_dev_name(device)) +
                               " cannot compute " + ggml_op_desc(node) +
                               " of this model; use the device CPU");
    }
  }
}

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
      plan_({config.n_sinks, config.window, config.max_rows, config.rebase_rows}),
      backend_(open_device(model_->device(), config.n_threads)),
      ring_(*model_, plan_, read_kv_type(config.kv_type)),
      inputs_(*model_, plan_),
      allocator_(ggml_gallocr_new(ggml_backend_dev_buffer_type(model_->device()))),
      mask_(static_cast<size_t>(plan_.n_slots()) * plan_.shape().max_rows),
      value_cells_(static_cast<size_t>(model_->shape().kv_width()) * plan_.shape().max_rows),
      sink_positions_(plan_.shape().n_sinks),
      logits_(model_->shape().n_vocab) {
  build_graphs();
}

// All graphs share one block of memory: first it grows to what the greediest needs, then each is
// laid out in it, for good.
void RingDecoder::build_graphs() {
  graphs_.resize(graph_index({plan_.shape().max_rows, true, true}) + 1);
  for (size_t i = 0; i < graphs_.size(); ++i) {
    const StepKind kind = graph_kind(i);
    if (kind.into_sinks && kind.n_rows > plan_.shape().n_sinks) continue;
    graphs_[i] = build_step_graph(*model_, plan_, ring_, inputs_, kind);
    check_supported(model_->device(), graphs_[i]);
  }
  rebase_graph_ = build_rebase_graph(*model_, ring_, inputs_);
  check_supported(model_->device(), rebase_graph_);
  const auto for_each_graph = [this](auto&& act) {
    for (StepGraph& step : graphs_) {
      if (step.graph != nullptr && !act(allocator_.get(), step.graph)) {
        throw std::runtime_error("decoder: no memory to compute steps of " +
                                 std::to_string(plan_.shape().max_rows) +
                                 " rows; lower max_rows or the window");
      }
    }
  };
  for_each_graph(ggml_gallocr_reserve);
  for_each_graph(ggml_gallocr_alloc_graph);
}

size_t RingDecoder::state_bytes() const {
  return ggml_backend_buffer_get_size(ring_.buffer.get()) +
         ggml_backend_buffer_get_size(inputs_.buffer.get()) +
         ggml_gallocr_get_buffer_size(allocator_.get(), 0);
}

void RingDecoder::reset() {
  const Turn turn(busy_);
  plan_.reset();
  // Hidden slots are multiplied by zero, which only hides what is finite.
  if (failed_) ggml_backend_buffer_clear(ring_.buffer.get(), 0);
  failed_ = false;
}

void RingDecoder::check_input(std::span<const float> embeddings) const {
  if (embeddings.empty() || embeddings.size() % n_embd() != 0) {
    throw std::invalid_argument("decoder: got " + std::to_string(embeddings.size()) +
                                " numbers, a step takes one or more rows of " +
                                std::to_string(n_embd()));
  }
  for (size_t at = 0; at < embeddings.size(); at += n_embd()) {
    // The first norm sums the squares; where that overflows it would silently make zeros of a row.
    float squares = 0.F;
    for (const float x : embeddings.subspan(at, n_embd())) squares += x * x;
    if (!std::isfinite(squares)) {
      throw std::invalid_argument("decoder: row " + std::to_string(at / n_embd()) +
                                  " of the step holds a number that is not finite or too large");
    }
  }
}

std::span<const float> RingDecoder::step(std::span<const float> embeddings) {
  const Turn turn(busy_);
  check_input(embeddings);
  if (failed_) throw std::runtime_error("decoder: an earlier step failed; reset the stream");
  failed_ = true;
  while (!embeddings.empty()) {
    const int n_rows = plan_.next_rows(static_cast<int64_t>(embeddings.size()) / n_embd());
    const size_t n_numbers = static_cast<size_t>(n_rows) * n_embd();
    run_rows(embeddings.first(n_numbers), n_numbers == embeddings.size());
    embeddings = embeddings.subspan(n_numbers);
  }
  failed_ = false;
  return logits_;
}

void RingDecoder::run_rows(std::span<const float> rows, bool wants_logits) {
  const RingStep& step = plan_.take(static_cast<int>(rows.size() / n_embd()));
  if (step.rebase_by != 0) rebase(step.rebase_by);
  send(step, rows);
  StepGraph& graph = graphs_[graph_index({step.n_rows, step.into_sinks, wants_logits})];
  compute(graph);
  if (wants_logits) read_logits(graph);
}

// Turns the sinks too; every step places them anew.
void RingDecoder::rebase(int32_t by) {
  const int32_t turn = -by;
  set_front<int32_t>(inputs_.rebase_turn, {&turn, 1});
  compute(rebase_graph_);
}

void RingDecoder::send(const RingStep& step, std::span<const float> rows) {
  const int64_t kv_width = model_->shape().kv_width();
  const std::span mask(mask_.data(), static_cast<size_t>(step.n_rows) * plan_.n_slots());
  plan_.write_mask(mask);
  set_front<float>(inputs_.embeddings, rows);
  set_front<float>(inputs_.mask, mask);
  set_front(inputs_.positions, step.positions);
  set_front(inputs_.sink_query_positions, step.sink_query_positions);
  set_front(inputs_.key_slots, step.slots);
  for (int64_t i = 0; i < step.n_rows * kv_width; ++i) {
    value_cells_[i] = i % kv_width * plan_.n_slots() + step.slots[i / kv_width];
  }
  set_front<int64_t>(inputs_.value_cells, std::span(value_cells_).first(step.n_rows * kv_width));
  if (step.into_sinks || plan_.shape().n_sinks == 0) return;
  std::iota(sink_positions_.begin(), sink_positions_.end(), step.sink_position);
  set_front<int32_t>(inputs_.sink_positions, sink_positions_);
}

void RingDecoder::compute(StepGraph& step) {
  const ggml_status status = ggml_backend_graph_compute(backend_.get(), step.graph);
  if (status != GGML_STATUS_SUCCESS) {
    throw std::runtime_error("decoder: " + std::string(ggml_backend_dev_name(model_->device())) +
                             " failed to compute a step (" + ggml_status_to_string(status) +
                             "); reset the stream");
  }
}

void RingDecoder::read_logits(const StepGraph& step) {
  ggml_backend_tensor_get(step.logits, logits_.data(), 0, ggml_nbytes(step.logits));
  if (!std::ranges::all_of(logits_, [](float x) { return std::isfinite(x); })) {
    throw std::runtime_error(
        "decoder: the logits are not finite; the input or the weights are out of range. Reset the "
        "stream");
  }
}

}  // namespace edgestream
