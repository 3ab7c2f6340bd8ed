// SPDX-License-Identifier: Apache-2.0
#include "core/sound/sample_ring.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <thread>
#include <vector>

using edgestream::SampleRing;

namespace {

/// Every sample carries its own stream position, so a reader can tell whether a loss was located
/// rightly. Exact in float up to 2^24; positions wrap there.
constexpr std::int64_t kExactPositions = std::int64_t{1} << 24;

float value_at(std::int64_t position) { return static_cast<float>(position % kExactPositions); }

std::vector<float> block_at(std::int64_t position, std::size_t n) {
  std::vector<float> block(n);
  for (std::size_t i = 0; i < n; ++i) block[i] = value_at(position + static_cast<std::int64_t>(i));
  return block;
}

/// Reads up to `limit` samples and returns how many of them did not stand where they belong.
std::size_t misplaced(SampleRing& ring, std::size_t limit, std::size_t& n_read) {
  std::vector<float> out(limit, -1.0F);
  const std::int64_t position = ring.position();
  n_read = ring.read(out);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < n_read; ++i) {
    wrong += out[i] != value_at(position + static_cast<std::int64_t>(i));
  }
  return wrong;
}

/// Leaves `n_gaps` gaps of `n_lost` samples unread, each behind one accepted sample.
std::int64_t make_gaps(SampleRing& ring, std::size_t n_gaps, std::int64_t n_lost) {
  std::int64_t offered = 0;
  for (std::size_t gap = 0; gap < n_gaps; ++gap) {
    offered += static_cast<std::int64_t>(ring.write(block_at(offered, 1)));
    ring.lose(n_lost);
    offered += n_lost;
  }
  return offered;
}

/// Offers `n_offered` positions in random blocks from another thread while this one reads, and
/// checks that each arrives where it belongs or is told as lost.
void check_threads(SampleRing& ring, std::int64_t n_offered, std::int64_t max_block,
                   std::int64_t lost_after_block) {
  std::atomic<bool> done = false;
  std::jthread producer([&] {
    std::mt19937 random(7);
    std::uniform_int_distribution<std::int64_t> draw(1, max_block);
    std::int64_t offered = 0;
    while (offered < n_offered) {
      const std::int64_t n = draw(random);
      ring.write(block_at(offered, static_cast<std::size_t>(n)));
      ring.lose(lost_after_block);
      offered += n + lost_after_block;
      if (n % 2 == 0) std::this_thread::yield();  // the reader must get somewhere on one core too
    }
    n_offered = offered;
    done.store(true, std::memory_order_release);
  });

  std::mt19937 random(8);
  std::uniform_int_distribution<std::size_t> draw(1, 400);
  std::int64_t n_samples = 0;
  std::int64_t n_lost = 0;
  std::size_t wrong = 0;
  for (bool last = false; !last;) {
    last = done.load(std::memory_order_acquire);
    for (std::size_t n_read = 1; n_read > 0;) {
      n_lost += ring.take_gap();
      wrong += misplaced(ring, draw(random), n_read);
      n_samples += static_cast<std::int64_t>(n_read);
    }
    std::this_thread::yield();
  }
  n_lost += ring.take_gap();
  CHECK(wrong == 0);
  CHECK(n_lost == ring.lost_samples());
  CHECK(n_lost > 0);
  CHECK(n_samples > 0);
  CHECK(n_samples + n_lost == n_offered);
  CHECK(ring.position() == n_offered);
}

}  // namespace

TEST_CASE("capacity is rounded up to a power of two, and checked") {
  CHECK(SampleRing(1).capacity() == 1);
  CHECK(SampleRing(1000).capacity() == 1024);
  CHECK(SampleRing(1024).capacity() == 1024);
  CHECK_THROWS_WITH_AS(SampleRing(0), "sample ring: capacity is 0 samples; give 1 to 1073741824",
                       std::invalid_argument);
  CHECK_THROWS_AS(SampleRing(-5), std::invalid_argument);
  CHECK_THROWS_AS(SampleRing(std::int64_t{1} << 40), std::invalid_argument);
}

TEST_CASE("what does not fit is lost, counted and located") {
  SampleRing ring(8);
  CHECK(ring.write(block_at(0, 11)) == 8);
  CHECK(ring.write(block_at(11, 2)) == 0);
  CHECK(ring.lost_samples() == 5);

  std::size_t n_read = 0;
  CHECK(ring.take_gap() == 0);
  CHECK(misplaced(ring, 3, n_read) == 0);
  CHECK(n_read == 3);
  CHECK(ring.write(block_at(13, 2)) == 2);  // behind the gap
  CHECK(ring.readable() == 5);
  CHECK(misplaced(ring, 100, n_read) == 0);
  CHECK(n_read == 5);  // stops in front of the gap
  CHECK(ring.readable() == 0);
  CHECK(ring.position() == 8);
  CHECK(ring.take_gap() == 5);
  CHECK(ring.take_gap() == 0);
  CHECK(ring.position() == 13);
  CHECK(misplaced(ring, 100, n_read) == 0);
  CHECK(n_read == 2);
  CHECK(ring.position() == 15);
}

TEST_CASE("a loss at the end of the stream is told without another sample") {
  SampleRing ring(4);
  ring.write(block_at(0, 6));
  std::size_t n_read = 0;
  CHECK(misplaced(ring, 4, n_read) == 0);
  CHECK(ring.take_gap() == 2);
  ring.lose(7);
  ring.lose(-3);
  CHECK(ring.take_gap() == 7);
  CHECK(ring.write(block_at(13, 1)) == 1);
  CHECK(ring.take_gap() == 0);  // already told, although it is published only now
  CHECK(misplaced(ring, 4, n_read) == 0);
  CHECK(n_read == 1);
}

TEST_CASE("a gap that is taken while it grows is told in two parts") {
  SampleRing ring(4);
  ring.lose(3);
  CHECK(ring.take_gap() == 3);
  ring.lose(2);
  CHECK(ring.write(block_at(5, 1)) == 1);
  CHECK(ring.readable() == 0);
  CHECK(ring.take_gap() == 2);
  CHECK(ring.readable() == 1);
  CHECK(ring.position() == 5);
}

TEST_CASE("losses are merged, not misplaced, when the gap table is full") {
  SampleRing ring(4096);
  std::int64_t offered = make_gaps(ring, SampleRing::kMaxGaps + 1, 2);
  CHECK(ring.write(block_at(offered, 10)) == 0);  // no place to note the last gap
  offered += 10;
  std::size_t n_read = 0;
  CHECK(misplaced(ring, 10, n_read) == 0);
  CHECK(ring.take_gap() == 2);
  CHECK(ring.readable() == 1);  // hands the taken entry back
  CHECK(ring.write(block_at(offered, 10)) == 10);
  offered += 10;

  std::int64_t largest_gap = 0;
  while (ring.position() < offered) {
    CHECK(misplaced(ring, 10, n_read) == 0);
    const std::int64_t lost = ring.take_gap();
    REQUIRE(lost + static_cast<std::int64_t>(n_read) > 0);
    largest_gap = std::max(largest_gap, lost);
  }
  CHECK(largest_gap == 12);
  CHECK(ring.position() == offered);
}

TEST_CASE("any bit pattern passes unchanged") {
  SampleRing ring(4);
  const std::vector<float> in = {std::numeric_limits<float>::quiet_NaN(), -INFINITY, -0.0F, 1e-40F};
  std::vector<float> out(4);
  REQUIRE(ring.write(in) == 4);
  REQUIRE(ring.read(out) == 4);
  for (std::size_t i = 0; i < in.size(); ++i) {
    CHECK(std::bit_cast<std::uint32_t>(in[i]) == std::bit_cast<std::uint32_t>(out[i]));
  }
}

TEST_CASE("random schedules agree with a plain model") {
  std::mt19937 random(20);
  const auto draw = [&](int low, int high) {
    return static_cast<std::size_t>(std::uniform_int_distribution<int>(low, high)(random));
  };
  for (int round = 0; round < 200; ++round) {
    SampleRing ring(static_cast<std::int64_t>(draw(1, 200)));
    std::vector<bool> kept;  // by stream position
    std::size_t held = 0;
    std::size_t wrong = 0;
    for (int step = 0; step < 300; ++step) {
      const auto offered = static_cast<std::int64_t>(kept.size());
      if (draw(0, 2) == 0) {
        const std::size_t n = draw(0, 90);
        const std::size_t accepted = ring.write(block_at(offered, n));
        CHECK(accepted <= std::min(n, ring.capacity() - held));
        kept.insert(kept.end(), accepted, true);
        kept.insert(kept.end(), n - accepted, false);
        held += accepted;
      } else if (draw(0, 9) == 0) {
        ring.lose(3);
        kept.insert(kept.end(), 3, false);
      }
      const auto from = kept.begin() + ring.position();
      const std::int64_t lost = std::find(from, kept.end(), true) - from;
      CHECK(ring.take_gap() == lost);
      const auto next = kept.begin() + ring.position();
      const std::int64_t run = std::find(next, kept.end(), false) - next;
      const std::size_t limit = draw(0, 60);
      CHECK(ring.readable() == static_cast<std::size_t>(run));
      std::size_t n_read = 0;
      wrong += misplaced(ring, limit, n_read);
      CHECK(n_read == std::min(limit, static_cast<std::size_t>(run)));
      held -= n_read;
    }
    CHECK(wrong == 0);
    CHECK(ring.lost_samples() == std::count(kept.begin(), kept.end(), false));
  }
}

TEST_CASE("two threads on a ring that overflows") {
  SampleRing ring(512);
  check_threads(ring, 400'000, 300, 0);
}

TEST_CASE("two threads on a ring that never fills, with more gaps than the table holds") {
  // Slots are used once only, so the gap table is all that orders the two threads.
  SampleRing ring(100'000);
  check_threads(ring, 100'000, 3, 1);
}
