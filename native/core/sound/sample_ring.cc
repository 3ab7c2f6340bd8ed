// SPDX-License-Identifier: Apache-2.0
#include "core/sound/sample_ring.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

constexpr std::int64_t kMaxCapacitySamples = std::int64_t{1} << 30;

std::size_t checked_capacity(std::int64_t capacity_samples) {
  if (capacity_samples < 1 || capacity_samples > kMaxCapacitySamples) {
    throw std::invalid_argument("sample ring: capacity is " + std::to_string(capacity_samples) +
                                " samples; give 1 to " + std::to_string(kMaxCapacitySamples));
  }
  return std::bit_ceil(static_cast<std::size_t>(capacity_samples));
}

}  // namespace

SampleRing::SampleRing(std::int64_t capacity_samples)
    : samples_(checked_capacity(capacity_samples)),
      mask_(static_cast<std::int64_t>(samples_.size()) - 1) {}

std::size_t SampleRing::write(std::span<const float> samples) noexcept {
  const auto offered = static_cast<std::int64_t>(samples.size());
  const auto capacity = static_cast<std::int64_t>(samples_.size());
  const std::int64_t written = written_.load(std::memory_order_relaxed);
  if (capacity - (written - read_seen_) < offered) {
    // Acquire: the consumer has finished copying out of the slots that are reused now.
    read_seen_ = read_.load(std::memory_order_acquire);
  }
  std::int64_t accepted = std::min(offered, capacity - (written - read_seen_));
  if (accepted > 0 && !publish_open_gap()) accepted = 0;
  if (accepted > 0) {
    copy_in(written, samples.first(static_cast<std::size_t>(accepted)));
    // Release: publishes the samples, and the gap in front of them.
    written_.store(written + accepted, std::memory_order_release);
  }
  lose(offered - accepted);
  return static_cast<std::size_t>(accepted);
}

void SampleRing::lose(std::int64_t count) noexcept {
  if (count < 1) return;
  // Release, after written_: who sees this total also sees the samples in front of the loss.
  lost_.store(lost_.load(std::memory_order_relaxed) + count, std::memory_order_release);
}

/// Turns the losses since the last accepted sample into a Gap; false when the table is full.
bool SampleRing::publish_open_gap() noexcept {
  const std::int64_t lost = lost_.load(std::memory_order_relaxed);
  if (lost == lost_published_) return true;
  const std::int64_t index = gaps_written_.load(std::memory_order_relaxed);
  // Acquire: the consumer no longer reads the entry that is reused.
  const std::int64_t taken = gaps_read_.load(std::memory_order_acquire);
  if (index - taken == static_cast<std::int64_t>(kMaxGaps)) return false;
  gaps_[static_cast<std::size_t>(index) % kMaxGaps] = {written_.load(std::memory_order_relaxed),
                                                       lost};
  // Release: publishes the entry.
  gaps_written_.store(index + 1, std::memory_order_release);
  lost_published_ = lost;
  return true;
}

std::size_t SampleRing::readable() noexcept {
  const std::int64_t read = read_.load(std::memory_order_relaxed);
  // Acquire: the samples before this index, and the gaps between them, are visible.
  const std::int64_t written = written_.load(std::memory_order_acquire);
  const Gap* gap = next_gap();
  const std::int64_t end = gap ? std::min(gap->accepted, written) : written;
  return static_cast<std::size_t>(end - read);
}

std::size_t SampleRing::read(std::span<float> out) noexcept {
  const std::size_t n = std::min(readable(), out.size());
  const std::int64_t read = read_.load(std::memory_order_relaxed);
  copy_out(read, out.first(n));
  // Release: the slots may be written again.
  read_.store(read + static_cast<std::int64_t>(n), std::memory_order_release);
  return n;
}

std::int64_t SampleRing::take_gap() noexcept {
  const std::int64_t read = read_.load(std::memory_order_relaxed);
  // The total comes first: if no sample stands behind `read` afterwards, all of it is lost here.
  const std::int64_t lost = lost_.load(std::memory_order_acquire);
  const std::int64_t written = written_.load(std::memory_order_acquire);
  std::int64_t lost_here = lost_taken_;
  if (written == read) {
    lost_here = lost;
  } else if (const Gap* gap = next_gap(); gap && gap->accepted == read) {
    lost_here = gap->lost_before;
  }
  const std::int64_t count = lost_here - lost_taken_;
  lost_taken_ = lost_here;
  return count;
}

std::int64_t SampleRing::position() const noexcept {
  return read_.load(std::memory_order_relaxed) + lost_taken_;
}

std::int64_t SampleRing::lost_samples() const noexcept {
  return lost_.load(std::memory_order_relaxed);
}

/// Next gap that is not wholly taken, or nullptr; the taken ones are handed back to the producer.
const SampleRing::Gap* SampleRing::next_gap() noexcept {
  std::int64_t index = gaps_read_.load(std::memory_order_relaxed);
  // Acquire: the entries before this index are visible.
  const std::int64_t end = gaps_written_.load(std::memory_order_acquire);
  for (; index < end; ++index) {
    const Gap& gap = gaps_[static_cast<std::size_t>(index) % kMaxGaps];
    if (gap.lost_before > lost_taken_) return &gap;
    // Release: the entry may be written again.
    gaps_read_.store(index + 1, std::memory_order_release);
  }
  return nullptr;
}

void SampleRing::copy_in(std::int64_t accepted, std::span<const float> samples) noexcept {
  const auto slot = static_cast<std::size_t>(accepted & mask_);
  const std::size_t before_wrap = std::min(samples.size(), samples_.size() - slot);
  std::copy_n(samples.begin(), before_wrap, samples_.begin() + static_cast<std::ptrdiff_t>(slot));
  std::copy(samples.begin() + static_cast<std::ptrdiff_t>(before_wrap), samples.end(),
            samples_.begin());
}

void SampleRing::copy_out(std::int64_t accepted, std::span<float> out) const noexcept {
  const auto slot = static_cast<std::size_t>(accepted & mask_);
  const std::size_t before_wrap = std::min(out.size(), samples_.size() - slot);
  std::copy_n(samples_.begin() + static_cast<std::ptrdiff_t>(slot), before_wrap, out.begin());
  std::copy_n(samples_.begin(), out.size() - before_wrap,
              out.begin() + static_cast<std::ptrdiff_t>(before_wrap));
}

}  // namespace edgestream
