// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edgestream {

/// Lock-free ring of mono float32 samples between one producer (the audio callback) and one
/// consumer (the session). Nothing is locked or allocated after construction.
///
/// A sample that does not fit is lost, counted, and *located*: `read` never crosses a place where
/// samples are missing, and `take_gap` says how many. Two clocks exist: *accepted* samples (what
/// the ring holds) and the *stream* (accepted plus lost, `position`). Neither ever goes down.
///
/// Samples are carried as they are, non-finite ones included: the source stage behind the ring
/// owns their meaning, and the mel stage counts what still arrives.
class SampleRing {
 public:
  /// Unread gaps that are remembered apart from each other. Once they are all in use, writes are
  /// refused until the consumer has taken one, so that a loss is merged but never misplaced.
  static constexpr std::size_t kMaxGaps = 64;

  /// `capacity_samples` in [1, 2^30] is rounded up to a power of two.
  /// Throws std::invalid_argument outside of that range.
  explicit SampleRing(std::int64_t capacity_samples);
  SampleRing(const SampleRing&) = delete;
  SampleRing& operator=(const SampleRing&) = delete;

  /// Producer only. Stores as many leading samples as fit and returns their number; the others
  /// are lost at the position where they would have stood. Never blocks.
  std::size_t write(std::span<const float> samples) noexcept;

  /// Producer only. Notes `count` samples that were lost before they came here, for example in an
  /// overflow that the device reports. A count below 1 is ignored.
  void lose(std::int64_t count) noexcept;

  /// Consumer only. Copies up to `out.size()` samples, stopping in front of a gap; 0 means that
  /// there is nothing to read or that a gap has to be taken first.
  std::size_t read(std::span<float> out) noexcept;

  /// Consumer only. Number of samples lost exactly here, between what was read and what comes
  /// next; moves past them, so that a second call returns 0.
  std::int64_t take_gap() noexcept;

  /// Consumer only. What `read` could return now.
  [[nodiscard]] std::size_t readable() noexcept;

  /// Consumer only. Stream position of the next sample: all read and all gaps taken.
  [[nodiscard]] std::int64_t position() const noexcept;

  /// Any thread. Samples lost since construction, taken or not.
  [[nodiscard]] std::int64_t lost_samples() const noexcept;

  /// Any thread. Samples that the ring holds when full.
  [[nodiscard]] std::size_t capacity() const noexcept { return samples_.size(); }

 private:
  /// All samples lost in front of the accepted sample `accepted` number `lost_before` in total.
  /// Totals instead of counts let the consumer take a gap that the producer still widens.
  struct Gap {
    std::int64_t accepted;
    std::int64_t lost_before;
  };

  bool publish_open_gap() noexcept;
  void copy_in(std::int64_t accepted, std::span<const float> samples) noexcept;
  void copy_out(std::int64_t accepted, std::span<float> out) const noexcept;
  const Gap* next_gap() noexcept;

  static constexpr std::size_t kCacheLineBytes = 64;

  // Fixed after construction; slot = accepted & mask_.
  std::vector<float> samples_;
  std::int64_t mask_;
  std::array<Gap, kMaxGaps> gaps_{};

  // Written by the producer, read by the consumer.
  alignas(kCacheLineBytes) std::atomic<std::int64_t> written_ = 0;  // accepted samples
  std::atomic<std::int64_t> gaps_written_ = 0;                      // published gaps
  std::atomic<std::int64_t> lost_ = 0;                              // lost samples
  // Producer's own: last seen consumer index, and lost samples already in a published gap.
  alignas(kCacheLineBytes) std::int64_t read_seen_ = 0;
  std::int64_t lost_published_ = 0;

  // Written by the consumer, read by the producer.
  alignas(kCacheLineBytes) std::atomic<std::int64_t> read_ = 0;  // accepted samples
  std::atomic<std::int64_t> gaps_read_ = 0;                      // gaps passed
  // Consumer's own: lost samples already taken.
  std::int64_t lost_taken_ = 0;
};

}  // namespace edgestream
