// SPDX-License-Identifier: Apache-2.0
// After construction the stages in front of the encoder take no memory: all of them run here under
// an operator new that counts.
#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "core/picture/picture.h"
#include "core/picture/tile_gate.h"
#include "core/picture/token_gate.h"
#include "core/policy/policy.h"
#include "core/policy/policy_head.h"
#include "core/policy/token_aligner.h"
#include "core/sound/chunker.h"
#include "core/sound/mel.h"
#include "core/sound/sample_ring.h"
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

TEST_CASE("pictures and the gates allocate nothing after the first picture of a size") {
  edgestream::PictureResizer resizer(96, 72);
  edgestream::TileGate tiles({});
  edgestream::TokenGate tokens(108, 192, 0.5F);
  const std::vector<std::uint8_t> rgb(640 * 480 * 3, 90);
  std::vector<float> small(96 * 72 * 3);
  std::vector<std::uint8_t> kept(12 * 9);
  resizer.push(rgb, 640, 480, small);

  const long before = allocations.load();
  for (int i = 0; i < 20; ++i) {
    resizer.push(rgb, 640, 480, small);
    tiles.push(small, kept);
    tokens.push(small, kept);
  }
  tiles.reset();
  tokens.reset();
  CHECK(allocations.load() == before);
}

TEST_CASE("aligned tokens allocate nothing once there were as many") {
  const std::vector<float> attention(2 * 9 * 40, 0.5F);
  edgestream::TokenAligner aligner;
  aligner.align(attention, 2, 9, 1);
  const long before = allocations.load();
  for (int n_before = 1; n_before < 9; ++n_before) aligner.align(attention, 2, 9, n_before);
  CHECK(allocations.load() == before);
}

TEST_CASE("no policy allocates to decide") {
  using namespace edgestream;
  const std::vector<float> of_inputs(TrainedHead::kInputs, 1.F);
  const WaitK wait_k(3, 2);
  const ConfidenceThreshold confidence(2, 0.5F, 3, 0.25F);
  const EntropyThreshold entropy(2, 0.5F, 3);
  const SilenceThreshold silence(0.5F, 0.1F);
  const LocalAgreement agreement(2);
  const AlignAtt align_att(4);
  const OutsideThreshold outside(0.5F);
  const AllOf all({&wait_k, &silence});
  const AnyOf any({&entropy, &all});
  const TrainedHead head({.mean = of_inputs,
                          .scale = of_inputs,
                          .hidden_weights = of_inputs,
                          .hidden_bias = {0.F},
                          .output_weights = {1.F},
                          .output_bias = 0.F},
                         0.5F, 3);
  const Policy* const policies[] = {&wait_k,    &confidence, &entropy, &silence, &agreement,
                                    &align_att, &outside,    &all,     &any,     &head};
  const long before = allocations.load();
  int n_writes = 0;
  for (int64_t i = 0; i < 100; ++i) {
    const Observation seen = {.read = i,
                              .written = i / 3,
                              .held = i % 5,
                              .agreed = i % 4,
                              .attended_lag = i % 7,
                              .probability = static_cast<float>(i) / 100.F,
                              .outside = 1.F - static_cast<float>(i) / 100.F};
    for (const Policy* policy : policies) n_writes += policy->decide(seen) == Action::kWrite;
  }
  CHECK(allocations.load() == before);
  CHECK(n_writes > 0);
}
