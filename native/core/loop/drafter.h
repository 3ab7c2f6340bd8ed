// SPDX-License-Identifier: Apache-2.0
// Guesses at the next tokens, for the decoder to verify many in one batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/ring/decoder.h"

namespace edgestream {

/// Whatever it guesses, the tokens that are written are the same: a guess only saves time.
class Drafter {
 public:
  virtual ~Drafter() = default;
  /// Its tokens are below this; 0: it knows no limit.
  virtual int n_vocab() const { return 0; }
  /// `token` entered the stream, read or written.
  virtual void see(int32_t token) = 0;
  /// Writes the likely next tokens to the front of `out` and returns how many.
  virtual int draft(std::span<int32_t> out) = 0;
  /// Nothing seen.
  virtual void reset() = 0;
};

/// What followed the newest earlier place where the last tokens stood: prompt lookup decoding
/// (Saxena 2023); what repeats itself up to now is drafted to go on. For text that repeats itself
/// or its input. Allocates nothing after construction.
class NgramDrafter final : public Drafter {
 public:
  /// Looks for the last `max_ngram` tokens among the newest `window`, then for fewer, down to
  /// `min_ngram`. Throws std::invalid_argument unless 1 <= min_ngram <= max_ngram < window.
  NgramDrafter(int min_ngram, int max_ngram, int window);

  void see(int32_t token) override;
  int draft(std::span<int32_t> out) override;
  void reset() override { history_.clear(); }

 private:
  const size_t min_ngram_;
  const size_t max_ngram_;
  const size_t window_;
  std::vector<int32_t> history_;  // the newest tokens, at least `window` when there are as many
};

/// The rest of an earlier hypothesis, for as long as the new one follows it.
class HypothesisDrafter final : public Drafter {
 public:
  /// `tokens` is copied: the hypothesis from the next token on.
  void expect(std::span<const int32_t> tokens);

  void see(int32_t token) override;
  int draft(std::span<int32_t> out) override;
  void reset() override { expected_.clear(); }

 private:
  std::vector<int32_t> expected_;
  size_t n_seen_ = 0;  // of the expected tokens
};

/// What a smaller decoder of the same vocabulary would write (Leviathan et al. 2023, "Fast
/// Inference from Transformers via Speculative Decoding"). It sees every token and no embeddings
/// that are not tokens'. Not thread-safe.
class DecoderDrafter final : public Drafter {
 public:
  /// `decoder` must outlive the drafter, which uses its region 0 alone.
  explicit DecoderDrafter(Decoder& decoder);

  int n_vocab() const override { return decoder_.n_vocab(); }
  void see(int32_t token) override { unread_.push_back(token); }
  int draft(std::span<int32_t> out) override;
  void reset() override;

 private:
  std::span<const float> embeddings(std::span<const int32_t> tokens);
  void settle();

  Decoder& decoder_;
  std::vector<int32_t> unread_;    // seen since the last draft
  std::vector<int32_t> proposed_;  // tokens of the decoder's open proposal
  std::vector<float> rows_;        // embeddings on their way into the decoder
};

}  // namespace edgestream
