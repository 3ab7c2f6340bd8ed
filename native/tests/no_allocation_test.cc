// SPDX-License-Identifier: Apache-2.0
// After construction the stages in front of the encoder take no memory: all of them run here under
// an operator new that counts.
#include <doctest/doctest.h>

#include <vector>

#include "core/chunker.h"
#include "core/mel.h"
#include "core/sample_ring.h"
#include "counted_new.h"

using edgestream::allocations;

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
