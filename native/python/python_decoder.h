// SPDX-License-Identifier: Apache-2.0
// A decoder whose arithmetic is a Python class, behind the same interface as the native one.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/trampoline.h>

#include <memory>
#include <span>

#include "core/ring/decoder.h"
#include "core/ring/decoder_state.h"

/// The Python side of edgestream::Decoder, of one region: keeps the rules of the interface (which
/// calls fit, what counts) and leaves the rest of step(), fork() and so on to the Python class's
/// methods _step(), _fork() and so on, called with the GIL held:
///
///   _step(rows, logits)      rows: list of read-only float32 [n, n_embd], valid during the call;
///                            logits: "none", "last" or "every". Returns float32
///                            [0, 1 or all n, n_vocab].
///   _take_back(n_rows)       the newest rows, at most max_proposal, were never taken
///   _token_embedding(token)  returns float32 [n_embd]
///   _fork()                  returns a decoder of the same class with the same past
///   _reset()                 forgets everything
///   _attention(n_after)      only of classes that have it: float32 [n], the weights that the row
///                            before the newest n_after gives to the kept rows before those, the
///                            newest n of them
///   heard_at(n)              only of classes that have it: int32 [n + 1] or [0], the input rows at
///                            which the newest n rows begin, and what follows them
///
/// What they raise goes through native loops to the Python caller. Nothing is copied on the way in;
/// the logits stay the array that _step() returned.
class PythonDecoder final : public edgestream::Decoder {
 public:
  NB_TRAMPOLINE(edgestream::Decoder);

  /// Throws std::invalid_argument on a number below 1.
  PythonDecoder(int n_embd, int n_vocab, int max_proposal);

  int n_embd() const override { return n_embd_; }
  int n_vocab() const override { return n_vocab_; }
  int n_regions() const override { return 1; }
  int max_proposal() const override { return max_proposal_; }
  void token_embedding(int32_t token, std::span<float> out) const override;
  std::span<const float> step(std::span<const edgestream::RegionRows> groups,
                              edgestream::LogitsOf wanted) override;
  std::span<const float> propose(std::span<const edgestream::RegionRows> groups) override;
  void keep(int n_rows) override;
  std::span<const float> attention(int region) const override {
    return attention_before(region, 0);
  }
  std::span<const float> attention_before(int region, int n_after) const override;
  std::span<const int32_t> heard_at(int n) const override;
  /// Owns the Python object that it is.
  std::shared_ptr<edgestream::Decoder> fork() const override;
  int64_t pos() const override { return pos_; }
  void reset() override;

 private:
  using Logits =
      nanobind::ndarray<const float, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;

  using Weights =
      nanobind::ndarray<const float, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

  using Places = nanobind::ndarray<const int32_t, nanobind::ndim<1>, nanobind::c_contig,
                                   nanobind::device::cpu>;

  void compute(std::span<const edgestream::RegionRows> groups, int64_t n_rows,
               edgestream::LogitsOf wanted);

  const int n_embd_;
  const int n_vocab_;
  const int max_proposal_;
  int64_t pos_ = 0;
  edgestream::DecoderState state_;
  Logits logits_;            // of the last step
  mutable Weights weights_;  // that _attention() gave last
  mutable Places places_;    // that heard_at() gave last
};
