// SPDX-License-Identifier: Apache-2.0
#include "core/sound/chunker.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

const ChunkerConfig& checked(const ChunkerConfig& config) {
  const bool counts = config.n_bins > 0 && config.chunk_frames > 0 && config.left_frames >= 0 &&
                      config.right_frames >= 0;
  const long long frames = static_cast<long long>(config.left_frames) + config.chunk_frames +
                           static_cast<long long>(config.right_frames);
  if (counts && frames <= Chunker::kMaxChunkValues / config.n_bins) return config;
  throw std::invalid_argument(
      "chunker: " + std::to_string(config.left_frames) + " left + " +
      std::to_string(config.chunk_frames) + " chunk + " + std::to_string(config.right_frames) +
      " right frames of " + std::to_string(config.n_bins) +
      " bins; give at least 1 chunk frame and 1 bin, no negative context, and at most " +
      std::to_string(Chunker::kMaxChunkValues) + " values in one chunk");
}

}  // namespace

Chunker::Chunker(const ChunkerConfig& config)
    : n_bins_(static_cast<std::size_t>(checked(config).n_bins)),
      left_(static_cast<std::size_t>(config.left_frames)),
      chunk_(static_cast<std::size_t>(config.chunk_frames)),
      right_(static_cast<std::size_t>(config.right_frames)),
      pad_value_(config.pad_value),
      window_(frames_per_chunk() * n_bins_) {
  reset();
}

std::size_t Chunker::chunks_after(std::size_t n_frames) const noexcept {
  const std::size_t known = n_known_ + n_frames;
  return known < frames_per_chunk() ? 0 : (known - frames_per_chunk()) / chunk_ + 1;
}

void Chunker::push(std::span<const float> frames, std::span<float> chunks) {
  if (finished_) throw std::runtime_error("chunker: push after finish; call reset first");
  if (frames.size() % n_bins_ != 0) {
    throw std::invalid_argument("chunker: got " + std::to_string(frames.size()) +
                                " values, which is no whole number of frames of " +
                                std::to_string(n_bins_) + " bins");
  }
  expect_room(chunks_after(frames.size() / n_bins_), chunks);
  while (!frames.empty()) {
    const std::span<float> room = std::span(window_).subspan(n_known_ * n_bins_);
    const std::size_t n_values = std::min(room.size(), frames.size());
    std::copy_n(frames.begin(), n_values, room.begin());
    frames = frames.subspan(n_values);
    n_known_ += n_values / n_bins_;
    if (n_known_ < frames_per_chunk()) continue;
    emit(chunks.first(window_.size()));
    chunks = chunks.subspan(window_.size());
  }
}

std::size_t Chunker::chunks_at_finish() const noexcept {
  // The first chunk's left context is known without a frame having come, hence the comparison.
  return n_known_ <= left_ ? 0 : (n_known_ - left_ + chunk_ - 1) / chunk_;
}

void Chunker::finish(std::span<float> chunks) {
  expect_room(chunks_at_finish(), chunks);
  finished_ = true;
  while (!chunks.empty()) {
    std::fill(window_.begin() + static_cast<std::ptrdiff_t>(n_known_ * n_bins_), window_.end(),
              pad_value_);
    n_known_ = frames_per_chunk();
    emit(chunks.first(window_.size()));
    chunks = chunks.subspan(window_.size());
  }
  n_known_ = left_;
}

void Chunker::reset() noexcept {
  std::fill(window_.begin(), window_.end(), pad_value_);
  n_known_ = left_;
  finished_ = false;
}

void Chunker::expect_room(std::size_t n_chunks, std::span<const float> chunks) const {
  if (chunks.size() == n_chunks * window_.size()) return;
  throw std::invalid_argument("chunker: room for " + std::to_string(chunks.size()) +
                              " values, need " + std::to_string(n_chunks) + " chunks of " +
                              std::to_string(window_.size()));
}

/// Copies the window out and moves it on by one chunk.
void Chunker::emit(std::span<float> chunk) noexcept {
  std::copy(window_.begin(), window_.end(), chunk.begin());
  const std::size_t kept_from = chunk_ * n_bins_;
  std::copy(window_.begin() + static_cast<std::ptrdiff_t>(kept_from), window_.end(),
            window_.begin());
  n_known_ -= chunk_;
}

}  // namespace edgestream
