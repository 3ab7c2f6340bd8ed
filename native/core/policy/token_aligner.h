// SPDX-License-Identifier: Apache-2.0
// Where in the input an encoder-decoder heard each token, read off its cross-attention.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace edgestream {

/// Word times of openai-whisper (timing.py; Radford et al. 2022): each head's attention is
/// normalised over the tokens and smoothed over the input by a median of 7, the heads' mean is
/// aligned by dynamic time warping. Allocates nothing once its buffers have grown. Not thread-safe.
class TokenAligner {
 public:
  /// `attention` [n_heads, n_tokens, n_rows] is that of the row which proposed each token to the
  /// encoder's rows. The first `n_before` tokens (a prompt) are normalised with the others and not
  /// aligned. Returns the row at which each token begins [n_tokens - n_before], the first 0, never
  /// falling. The view is valid until the next call. Throws std::invalid_argument when a number is
  /// below 1, shapes do not fit, or the attention is not finite.
  std::span<const int32_t> align(std::span<const float> attention, int n_heads, int n_tokens,
                                 int n_before);

 private:
  void check(std::span<const float> attention, int n_heads, int n_tokens, int n_before) const;
  void add_head(std::span<const float> head, int n_tokens, int n_before);
  void normalise(std::span<const float> head, int n_tokens);
  void warp();
  void trace_back();

  int n_rows_ = 0;
  int n_aligned_ = 0;
  std::vector<float> normal_;   // [n_tokens, n_rows] of one head
  std::vector<float> matrix_;   // [n_aligned, n_rows] sum over the heads
  std::vector<float> costs_;    // [2, n_aligned + 1] of the last row of input and of this one
  std::vector<uint8_t> moves_;  // [n_rows + 1, n_aligned + 1]
  std::vector<int32_t> begins_;
};

}  // namespace edgestream
