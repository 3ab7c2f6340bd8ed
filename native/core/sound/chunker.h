// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace edgestream {

/// How many frames an encoder takes at once. Chunk c is about the frames c * chunk_frames to
/// (c + 1) * chunk_frames, and also shows `left_frames` before and `right_frames` after them. The
/// defaults are those of the default caption model.
struct ChunkerConfig {
  int n_bins = 80;
  int left_frames = 0;
  int chunk_frames = 8;
  int right_frames = 0;  // look-ahead: a chunk waits for them
  /// Of frames before the first and after the last; the default is ln(1e-5), the silence of the
  /// default mel.
  float pad_value = -11.512925F;
};

/// Cuts a stream of frames into overlapping chunks for an encoder. Frames are copied unchanged:
/// any cutting of the stream gives the same bits. Allocates nothing after construction. One thread
/// at a time.
class Chunker {
 public:
  /// Throws std::invalid_argument unless n_bins and chunk_frames are positive, the contexts not
  /// negative and one chunk at most kMaxChunkValues values.
  explicit Chunker(const ChunkerConfig& config);

  static constexpr long long kMaxChunkValues = 1 << 28;

  /// Chunks that pushing `n_frames` more will complete.
  [[nodiscard]] std::size_t chunks_after(std::size_t n_frames) const noexcept;

  /// Takes frames [n, n_bins] and writes chunks [chunks_after(n), frames_per_chunk(), n_bins].
  /// Throws std::invalid_argument on other sizes, std::runtime_error after finish.
  void push(std::span<const float> frames, std::span<float> chunks);

  /// Chunks that finish() will complete: as many as begin in front of the last frame.
  [[nodiscard]] std::size_t chunks_at_finish() const noexcept;

  /// Ends the stream: fills the last chunk and its look-ahead with pad_value and writes chunks
  /// [chunks_at_finish(), frames_per_chunk(), n_bins]. Throws as push does on another size.
  void finish(std::span<float> chunks);

  /// Back to the start of a stream.
  void reset() noexcept;

  /// left + chunk + right.
  [[nodiscard]] std::size_t frames_per_chunk() const noexcept { return left_ + chunk_ + right_; }
  [[nodiscard]] std::size_t n_bins() const noexcept { return n_bins_; }

 private:
  void expect_room(std::size_t n_chunks, std::span<const float> chunks) const;
  void emit(std::span<float> chunk) noexcept;

  std::size_t n_bins_;
  std::size_t left_;
  std::size_t chunk_;
  std::size_t right_;
  float pad_value_;

  std::vector<float> window_;  // [frames_per_chunk, n_bins] the next chunk, as far as it is known
  std::size_t n_known_;        // frames of window_ that are known
  bool finished_ = false;
};

}  // namespace edgestream
