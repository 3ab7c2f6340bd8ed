// SPDX-License-Identifier: Apache-2.0
// Rows that are computed together with a guess at what follows them, and taken as far as it holds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/loop/drafter.h"
#include "core/ring/decoder.h"

namespace edgestream {

/// What drafting brought, since the last reset.
struct DraftCounts {
  int64_t batches = 0;   ///< batches computed
  int64_t drafted = 0;   ///< tokens guessed
  int64_t verified = 0;  ///< of those the ones that were written as guessed
};

/// How many tokens are drafted: always as many as may be, or fewer after a wrong guess and more
/// after a batch that held none, so that text that cannot be guessed costs little.
enum class DraftLength { kFixed, kAdaptive };

/// Speculative decoding in the decoder's memory: a batch of given rows and drafted tokens is
/// proposed, and a drafted token counts once follow() names it (Leviathan et al. 2023; tokens are
/// compared, not probabilities, so what is written is what would be written without a draft,
/// sampled tokens too). With nothing drafted it is a step that can be taken back. Not thread-safe.
class DraftBatch {
 public:
  /// Drafts up to `n_draft` >= 0 tokens a batch into `region`; `drafter` may be null. All must
  /// outlive the batch. Throws std::invalid_argument when n_draft is out of range,
  /// needs a drafter, or the drafter has another vocabulary.
  DraftBatch(Decoder& decoder, Drafter* drafter, int n_draft, int region, DraftLength length);

  /// Most rows that open() takes.
  int max_rows() const { return decoder_.max_proposal(); }

  /// From the next open() on, rows and draft enter this region.
  void enter(int region) { region_ = region; }

  /// Computes the rows `input` [n, n_embd] of region 0 (n may be 0) with `axes` [n, kAxes] or none,
  /// then `rows` [m, n_embd], m >= 1, and a draft behind them; returns the logits after the last of
  /// `rows`. Closed before.
  std::span<const float> open(std::span<const float> input, std::span<const float> rows,
                              std::span<const int32_t> axes = {});

  /// The logits after `token` when it is what was drafted next, else empty.
  std::span<const float> follow(int32_t token);

  /// Takes the rows up to the one whose logits were given last; without that one unless
  /// `with_current`, and then without all of open()'s `rows` when none was followed. Nothing
  /// happens when closed.
  void close(bool with_current);

  /// Rows of the open batch, 0 when closed: the decoder does not count them yet.
  int n_open_rows() const { return open_ ? n_input_ + n_rows_ + n_drafted_ : 0; }

  /// Rows of the open batch behind the one whose logits were given last.
  int n_after() const { return open_ ? n_drafted_ - followed_ : 0; }

  /// `token` entered the stream, read or written.
  void see(int32_t token);

  /// Nothing drafted, nothing seen; an open batch is forgotten, as the decoder must be reset.
  void reset();

  const DraftCounts& counts() const { return counts_; }

 private:
  std::span<const float> logits() const;
  void adapt();

  Decoder& decoder_;
  Drafter* const drafter_;
  int region_;
  const size_t width_;  // n_embd
  const DraftLength draft_length_;
  std::vector<int32_t> draft_;  // [n_draft], the first n_drafted_ of the open batch
  size_t n_wanted_;             // tokens to draft next, at most n_draft
  int pause_ = 0;               // batches without a draft after the next wrong guess
  int n_paused_ = 0;            // of them still to come
  std::vector<float> rows_;     // rows and draft on their way into the decoder
  std::span<const float> all_logits_;
  int n_input_ = 0;    // rows of the input in the last batch
  int n_rows_ = 0;     // given rows behind them
  int n_drafted_ = 0;  // drafted rows behind those
  int followed_ = 0;   // drafted rows that follow() named
  bool open_ = false;  // the decoder waits for keep()
  DraftCounts counts_;
};

}  // namespace edgestream
