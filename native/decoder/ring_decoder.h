// SPDX-License-Identifier: Apache-2.0
// The streaming decoder: a GGUF model over a ring of keys and values.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/ring/decoder.h"
#include "core/ring/decoder_state.h"
#include "decoder/graph/step_runner.h"
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

  /// Independent branches behind the same past: each sees the past, the rows of the `trunk` and its
  /// own rows [n, n_embd], n >= 1, and none of another branch's, and its positions go on behind the
  /// trunk's. Returns the logits [n, n_vocab] of the rows that are wanted, in order. Nothing of it
  /// is kept. Trunk and as many branches as fit max_rows are computed together. Throws
  /// std::invalid_argument, with nothing taken, as step() does, and where trunk and a branch have
  /// more than max_rows rows, a proposal is open, not all attention sinks have come, or attention
  /// decides which rows stay.
  std::span<const float> probe(std::span<const float> trunk,
                               std::span<const std::span<const float>> branches, int region,
                               BranchLogits wanted);

  void begin_unit() override;
  std::span<const float> attention(int region) const override;
  std::shared_ptr<Decoder> fork() const override;
  /// Goes on from where `other` is, of the same model and memory: as its fork, without taking
  /// memory. Throws std::invalid_argument where the two differ.
  void follow(const RingDecoder& other);

  /// Writes the stream's past to a file; see write_state(). Not while a proposal is open.
  void save(const std::string& path) const;
  /// Goes on from a file that a decoder of the same model and memory saved. Throws as read_state()
  /// does, with the stream as it was.
  void restore(const std::string& path);

  int64_t pos() const override { return plan_.pos() - state_.n_proposed(); }
  void reset() override;

  /// Rows that exited early, since the last reset or restore; of an open proposal those, too, that
  /// keep() may take back.
  int64_t n_exits() const { return n_exits_; }

  const GgufModel& model() const { return *model_; }
  const RingShape& ring_shape() const { return plan_.shape(); }
  /// Memory of this stream on the device, weights not counted.
  size_t state_bytes() const { return runner_.n_bytes(); }

 private:
  void check_probe(std::span<const float> trunk, std::span<const std::span<const float>> branches,
                   int region) const;
  void run_batch(const BranchBatch& batch, std::span<const float> trunk,
                 std::span<const std::span<const float>> branches, int region);
  int64_t checked_rows(std::span<const RegionRows> groups) const;
  void append(std::span<const RegionRows> groups, LogitsOf wanted);
  void begin();
  StateIdentity identity() const;

  const std::shared_ptr<const GgufModel> model_;
  const RingDecoderConfig config_;
  RingPlan plan_;
  StepRunner runner_;
  DecoderState state_;
  std::vector<int> row_regions_;   // [max_rows] of the step, or of the open proposal
  std::vector<RowAxes> row_axes_;  // [max_rows] of the step, or of the open proposal
  std::vector<int> row_exits_;     // [max_rows] 1 of one that exited, as row_regions_
  int64_t n_exits_ = 0;
  mutable std::atomic_flag busy_;  // a step is being computed
};

}  // namespace edgestream
