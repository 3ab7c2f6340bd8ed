// SPDX-License-Identifier: Apache-2.0
// A causal decoder that takes embeddings row by row and keeps its own bounded memory of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace edgestream {

/// Axes of a position under M-RoPE: time, height and width.
inline constexpr size_t kAxes = 3;

/// A run of rows that enter one region of a decoder's memory, in order.
struct RegionRows {
  int region = 0;                     ///< index in the decoder's regions
  std::span<const float> embeddings;  ///< [n, n_embd], n >= 1
  /// [n, kAxes] place of each row for a model that turns them apart (M-RoPE, Wang et
  /// al. 2024, "Qwen2-VL"), from the region's next position on; the next one lies behind the
  /// greatest. Empty: text, one position behind the other on all axes.
  std::span<const int32_t> axes = {};
};

/// Which rows of a step get logits.
enum class LogitsOf { kNone, kLastRow, kEveryRow };

/// The seam between the read/write loops and whatever computes the logits. Not thread-safe: one
/// stream, one caller at a time. Every method throws std::invalid_argument, with nothing taken, on
/// a wrong width, a region or a token that does not exist, or a call that does not fit an open
/// proposal.
class Decoder {
 public:
  virtual ~Decoder() = default;

  /// Width of an input row.
  virtual int n_embd() const = 0;
  /// Width of the logits.
  virtual int n_vocab() const = 0;
  /// Regions of the memory, each with its own window.
  virtual int n_regions() const = 0;
  /// Most rows that a proposal may hold.
  virtual int max_proposal() const = 0;

  /// Whether rows may have axes.
  virtual bool has_axes() const { return false; }

  /// Writes the input embedding of `token` (0 <= token < n_vocab) into `out` [n_embd].
  virtual void token_embedding(int32_t token, std::span<float> out) const = 0;

  /// Appends the input embeddings of `tokens` to `rows` [n, n_embd].
  void append_embeddings(std::span<const int32_t> tokens, std::vector<float>& rows) const;

  /// Appends the groups as if their rows came one after the other, computed together; who sees whom
  /// is the decoder's configuration. Returns logits [n, n_vocab] of no row, of the last row, or of
  /// every row of all groups in order. The view is valid until the next call.
  virtual std::span<const float> step(std::span<const RegionRows> groups, LogitsOf wanted) = 0;

  /// One run of rows [n, n_embd] into region 0; returns the logits [n_vocab] of the last one.
  std::span<const float> step(std::span<const float> embeddings) {
    const RegionRows group{0, embeddings};
    return step({&group, 1}, LogitsOf::kLastRow);
  }

  /// As step() with the logits of every row, but open: the rows count only after keep(). Called
  /// again it adds to the open proposal, max_proposal() rows in all, and returns the logits of the
  /// rows added. Until keep() nothing but propose(), keep() and reset() may be called.
  virtual std::span<const float> propose(std::span<const RegionRows> groups) = 0;

  /// Closes the proposal: its first `n_rows` >= 0 rows stay, the others, which must be of text,
  /// were never taken.
  virtual void keep(int n_rows) = 0;

  /// A unit of input and what was written about it is over: a decoder whose positions depend on
  /// units moves on. Nothing else changes.
  virtual void begin_unit() {}

  /// Attention weights of the last row of the last step that gave logits over the kept rows of a
  /// region, oldest first: the mean over the captured layers and their heads. Empty when none is
  /// captured. The view is valid until the next call.
  virtual std::span<const float> attention(int region) const = 0;

  /// As attention(), of the row behind which `n_after` came in the last step; over the kept rows
  /// before those. Empty when n_after > 0 and the decoder captures the last row's alone.
  virtual std::span<const float> attention_before(int region, int n_after) const {
    return n_after == 0 ? attention(region) : std::span<const float>();
  }

  /// Input rows at which the newest `n` rows, tokens, were heard to begin, and behind them the one
  /// at which what follows would [n + 1], never going back; found by aligning all tokens with the
  /// input at once. Empty where that is not known. The view is valid until the next call.
  virtual std::span<const int32_t> heard_at(int /*n*/) const { return {}; }

  /// A second stream with the same past that goes its own way from here; the weights are shared.
  virtual std::shared_ptr<Decoder> fork() const = 0;

  /// Rows ever taken since the last reset, of all regions; never goes down in between. Rows of an
  /// open proposal are not counted.
  virtual int64_t pos() const = 0;

  /// Forgets everything, an open proposal too; the next row is position 0.
  virtual void reset() = 0;

 protected:
  /// Throws std::invalid_argument when there is no such region.
  void require_region(int region) const;

  /// Rows of a step. Throws std::invalid_argument when there is none, or one is of a wrong width or
  /// region or holds a number that is not finite or too large to square.
  int64_t checked_rows(std::span<const RegionRows> groups) const;
};

}  // namespace edgestream
