// SPDX-License-Identifier: Apache-2.0
// The streaming decoder: a GGUF model over a ring of keys and values.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ring/decoder.h"
#include "core/ring/ring_plan.h"
#include "decoder/graph/captured_attention.h"
#include "decoder/graph/early_exit.h"
#include "decoder/file/gguf_model.h"
#include "decoder/ring/kv_ring.h"
#include "decoder/ring/ring_config.h"
#include "decoder/graph/ring_graphs.h"
#include "decoder/ring/ring_state.h"

namespace edgestream {

/// One stream over a shared model. All memory is taken and every graph is built at construction;
/// step() allocates nothing of its own. One caller at a time: a second one is refused.
class RingDecoder final : public Decoder {
 public:
  /// Throws std::invalid_argument on a configuration out of range and std::runtime_error when the
  /// device lacks memory or an operation.
  RingDecoder(std::shared_ptr<const GgufModel> model, const RingDecoderConfig& config);

  int n_embd() const override { return model_->shape().row_width(); }
  int n_vocab() const override { return model_->shape().n_vocab; }
  int n_regions() const override { return plan_.n_regions(); }
  int max_proposal() const override { return plan_.shape().max_rows; }
  bool has_axes() const override { return model_->shape().position_parts() > 1; }
  void token_embedding(int32_t token, std::span<float> out) const override {
    model_->token_embedding(token, out);
  }

  /// Throws std::invalid_argument on an empty or ragged input or a number that is not finite or too
  /// large to square, with nothing taken; std::runtime_error when the computation fails or its
  /// result is not finite: the stream must then be reset.
  std::span<const float> step(std::span<const RegionRows> groups, LogitsOf wanted) override;
  using Decoder::step;

  /// As step(). Rows that are not kept cost what they cost, and nothing is copied: the ring has
  /// room for max_rows rows beside what the next row sees.
  std::span<const float> propose(std::span<const RegionRows> groups) override;
  void keep(int n_rows) override;

  void begin_unit() override;
  std::span<const float> attention(int region) const override;
  std::unique_ptr<Decoder> fork() const override;

  /// Writes the stream's past to a file; see write_state(). Not while a proposal is open.
  void save(const std::string& path) const;
  /// Goes on from a file that a decoder of the same model and memory saved. Throws as read_state()
  /// does, with the stream as it was.
  void restore(const std::string& path);

  int64_t pos() const override { return plan_.pos() - n_proposed_; }
  void reset() override;

  /// Rows that exited early, since the last reset or restore; of an open proposal those, too, that
  /// keep() may take back.
  int64_t n_exits() const { return n_exits_; }

  const GgufModel& model() const { return *model_; }
  const RingShape& ring_shape() const { return plan_.shape(); }
  /// Memory of this stream on the device, weights not counted.
  size_t state_bytes() const;

 private:
  int64_t checked_rows(std::span<const RegionRows> groups) const;
  void check_ready() const;
  void check_sound() const;
  void append(std::span<const RegionRows> groups, LogitsOf wanted);
  static void place_on_axes(const RegionRows& group, int64_t from, std::span<RowAxes> places);
  void run_rows(std::span<const int> regions, std::span<const RowAxes> axes, LogitsOf wanted);
  void run_with_exit(StepKind kind);
  void count_exits(int first);
  void move_keys(const RingStep& step);
  StateIdentity identity() const;
  void compute(Graph& graph);
  void read_logits(const Graph& graph);
  void read_logits_or_exits(const Graph& rest, int first);
  std::span<float> next_logits(size_t n);
  void read_mass(const Graph& graph);

  const std::shared_ptr<const GgufModel> model_;
  const RingDecoderConfig config_;
  RingPlan plan_;
  BackendHandle backend_;
  KvRing ring_;
  StepInputs inputs_;
  std::unique_ptr<MergeInputs> merges_;  // null unless rows are merged
  RingGraphs graphs_;
  std::vector<int> row_regions_;   // [max_rows] of the step, or of the open proposal
  std::vector<RowAxes> row_axes_;  // [max_rows] of the step, or of the open proposal
  std::vector<int> row_exits_;     // [max_rows] 1 of one that exited, as row_regions_
  std::vector<float> logits_;      // [rows that got some, n_vocab] of the last step
  size_t n_logits_ = 0;            // numbers in logits_ that are of the last step
  std::vector<float> mass_;        // [max_rows, n_slots] attention of the step's rows
  CapturedAttention attention_;
  std::optional<EarlyExit> exit_;
  int64_t n_exits_ = 0;
  int n_proposed_ = 0;             // rows of the open proposal; 0: none is open
  bool failed_ = false;            // a step failed half-way; only reset() helps
  mutable std::atomic_flag busy_;  // a step is being computed
};

}  // namespace edgestream
