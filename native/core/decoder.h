// SPDX-License-Identifier: Apache-2.0
// A causal decoder that takes embeddings row by row and keeps its own bounded memory of them.
#pragma once

#include <cstdint>
#include <span>

namespace edgestream {

/// The seam between the read/write loop and whatever computes the logits. Not thread-safe: one
/// stream, one caller at a time. Every method throws std::invalid_argument on a wrong width or a
/// token that does not exist.
class Decoder {
 public:
  virtual ~Decoder() = default;

  /// Width of an input row.
  virtual int n_embd() const = 0;
  /// Width of the logits.
  virtual int n_vocab() const = 0;

  /// Writes the input embedding of `token` (0 <= token < n_vocab) into `out` [n_embd].
  virtual void token_embedding(int32_t token, std::span<float> out) const = 0;

  /// Appends rows [n, n_embd], n >= 1, and returns the logits [n_vocab] of the last one. The view
  /// is valid until the next call.
  virtual std::span<const float> step(std::span<const float> embeddings) = 0;

  /// Rows ever taken since the last reset; never goes down in between.
  virtual int64_t pos() const = 0;

  /// Forgets everything; the next row is position 0.
  virtual void reset() = 0;
};

}  // namespace edgestream
