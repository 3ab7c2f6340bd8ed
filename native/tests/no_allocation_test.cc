// SPDX-License-Identifier: Apache-2.0
// After construction the stages in front of the encoder take no memory: all of them run here under
// an operator new that counts.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "core/chunker.h"
#include "core/mel.h"
#include "core/sample_ring.h"

namespace {
std::atomic<long> allocations = 0;
}

void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("ring, mel and chunker allocate nothing while they run") {
  constexpr std::size_t kBlock = 1280;
  edgestream::SampleRing ring(2048);
  edgestream::LogMel mel({});
  edgestream::Chunker chunker({80, 4, 8, 2});
  const std::vector<float> block(kBlock, 0.25F);
  std::vector<float> samples(kBlock);
  std::vector<float> frames(8 * 80);
  std::vector<float> chunks(14 * 80);

  const long before = allocations.load();
  for (int i = 0; i < 100; ++i) {
    ring.write(block);
    ring.lose(5);
    ring.take_gap();
    const std::size_t n = ring.read(samples);
    REQUIRE(n == kBlock);
    mel.push(samples, frames);
    chunker.push(frames, std::span(chunks).first(i == 0 ? 0 : chunks.size()));
  }
  mel.finish({});
  mel.reset();
  chunker.reset();
  CHECK(allocations.load() == before);

  const std::vector<float> counted(10);
  CHECK(allocations.load() > before);  // the counter itself works
}
