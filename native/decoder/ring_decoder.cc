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

constexpr size_t kLogitsKinds = 3;                  // none, of the last row, of every row
constexpr size_t kKindsPerSize = 2 * kLogitsKinds;  // into sinks or not

ggml_type read_kv_type(const std::string& name) {
  if (name == "f16") return GGML_TYPE_F16;
  if (name == "f32") return GGML_TYPE_F32;
  throw std::invalid_argument("decoder: keys and values of the type '" + name +
                              "' are not supported; supported: f16, f32");
}

size_t graph_index(StepKind kind) {
  const size_t size = std::countr_zero(static_cast<unsigned>(kind.n_rows));
  return size * kKindsPerSize + kLogitsKinds * kind.into_sinks + static_cast<size_t>(kind.logits);
}

StepKind graph_kind(size_t index) {
  return {.n_rows = 1 << (index / kKindsPerSize),
          .into_sinks = index % kKindsPerSize >= kLogitsKinds,
          .logits = static_cast<LogitsOf>(index % kLogitsKinds)};
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

// Compares bits, which vectorizes: a large vocabulary is looked through in every step.
bool all_finite(std::span<const float> values) {
  constexpr uint32_t kNoSign = 0x7FFFFFFF, kInfinity = 0x7F800000;
  uint32_t largest = 0;
  for (const float x : values) largest = std::max(largest, std::bit_cast<uint32_t>(x) & kNoSign);
  return largest < kInfinity;
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
      config_(config),
      plan_({config.n_sinks, config.window, config.max_rows, config.rebase_rows}),
      backend_(open_device(model_->device(), config.n_threads)),
      ring_(*model_, plan_, read_kv_type(config.kv_type)),
      inputs_(*model_, plan_),
      allocator_(ggml_gallocr_new(ggml_backend_dev_buffer_type(model_->device()))),
      mask_(static_cast<size_t>(plan_.n_slots()) * plan_.shape().max_rows),
      value_cells_(static_cast<size_t>(model_->shape().kv_width()) * plan_.shape().max_rows),
      sink_positions_(plan_.shape().n_sinks),
      logits_(static_cast<size_t>(model_->shape().n_vocab) * plan_.shape().max_rows) {
  build_graphs();
}

// All graphs share one block of memory: first it grows to what the greediest needs, then each is
// laid out in it, for good.
void RingDecoder::build_graphs() {
  graphs_.resize(graph_index({plan_.shape().max_rows, true, LogitsOf::kEveryRow}) + 1);
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
  n_proposed_ = 0;
  // Hidden slots are multiplied by zero, which only hides what is finite.
  if (failed_) ggml_backend_buffer_clear(ring_.buffer.get(), 0);
  failed_ = false;
}

int64_t RingDecoder::checked_rows(std::span<const RegionRows> groups) const {
  int64_t n_rows = 0;
  for (const RegionRows& group : groups) {
    if (group.region < 0 || group.region >= n_regions()) {
      throw std::invalid_argument("decoder: there is no region " + std::to_string(group.region) +
                                  "; this decoder has " + std::to_string(n_regions()));
    }
    check_embeddings(group.embeddings);
    n_rows += static_cast<int64_t>(group.embeddings.size()) / n_embd();
  }
  if (n_rows == 0) throw std::invalid_argument("decoder: a step takes one or more groups of rows");
  return n_rows;
}

void RingDecoder::check_embeddings(std::span<const float> embeddings) const {
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
  plan_.take_back(n_proposed_ - n_rows);
  n_proposed_ = 0;
}

// No layer is captured.
std::span<const float> RingDecoder::attention(int /*region*/) const { return {}; }

std::unique_ptr<Decoder> RingDecoder::fork() const {
  const Turn turn(busy_);
  check_ready();
  auto other = std::make_unique<RingDecoder>(model_, config_);
  other->plan_ = plan_;
  other->ring_.copy_from(ring_);
  return other;
}

// Logits of the last row are those of the last run of the last group.
void RingDecoder::append(std::span<const RegionRows> groups, LogitsOf wanted) {
  failed_ = true;
  n_logits_ = 0;
  for (const RegionRows& group : groups) {
    std::span<const float> rows = group.embeddings;
    while (!rows.empty()) {
      const int n_rows = plan_.next_rows(static_cast<int64_t>(rows.size()) / n_embd());
      const size_t n_numbers = static_cast<size_t>(n_rows) * n_embd();
      const bool last = n_numbers == rows.size() && &group == &groups.back();
      const bool only_enters = wanted == LogitsOf::kLastRow && !last;
      run_rows(rows.first(n_numbers), only_enters ? LogitsOf::kNone : wanted);
      rows = rows.subspan(n_numbers);
    }
  }
  failed_ = false;
}

void RingDecoder::run_rows(std::span<const float> rows, LogitsOf wanted) {
  const RingStep& step = plan_.take(static_cast<int>(rows.size() / n_embd()));
  if (step.rebase_by != 0) rebase(step.rebase_by);
  send(step, rows);
  StepGraph& graph = graphs_[graph_index({step.n_rows, step.into_sinks, wanted})];
  compute(graph);
  if (wanted != LogitsOf::kNone) read_logits(graph);
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

// Grows when a step of more than max_rows rows first wants them all.
void RingDecoder::read_logits(const StepGraph& step) {
  const auto n = static_cast<size_t>(ggml_nelements(step.logits));
  if (logits_.size() < n_logits_ + n) logits_.resize(n_logits_ + n);
  const std::span read = std::span(logits_).subspan(n_logits_, n);
  ggml_backend_tensor_get(step.logits, read.data(), 0, read.size_bytes());
  if (!all_finite(read)) {
    throw std::runtime_error(
        "decoder: the logits are not finite; the input or the weights are out of range. Reset the "
        "stream");
  }
  n_logits_ += n;
}

}  // namespace edgestream
