// SPDX-License-Identifier: Apache-2.0
// Once a stream of text has run, the same stream again takes no memory: sampled tokens, drafts of
// n-grams and of a second decoder.
#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <span>
#include <vector>

#include "core/loop/interleaved_loop.h"
#include "counted_new.h"
#include "decoder/ring_decoder.h"
#include "tiny_gguf.h"

using namespace edgestream;

namespace {

constexpr int kUnits = 60;
constexpr int kMaxRows = 8;

std::shared_ptr<const GgufModel> tiny_model() {
  const TinyGguf file("edgestream_loop_no_allocation.gguf");
  return std::make_shared<const GgufModel>(file.path());
}

RingDecoderConfig ring_config(std::vector<RegionShape> regions) {
  return {.regions = std::move(regions), .max_rows = kMaxRows};
}

LoopConfig loop_config() {
  LoopConfig config;
  config.max_tokens_per_unit = 3;
  config.max_tokens_at_end = 20;
  config.end_of_turn = {3};
  return config;
}

std::vector<int32_t> random_tokens() {
  std::mt19937 random(5);
  std::vector<int32_t> tokens(kUnits);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % 40);
  return tokens;
}

int64_t run(TurnLoop& loop, std::span<const int32_t> tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) loop.push_tokens(tokens.subspan(i, 1));
  loop.finish();
  const int64_t written = loop.written();
  loop.reset();
  return written;
}

void check_takes_no_memory(TurnLoop& loop) {
  const std::vector<int32_t> tokens = random_tokens();
  for (int warm_up = 0; warm_up < 3; ++warm_up) CHECK(run(loop, tokens) > 10);
  const long before = allocations.load();
  const int64_t written = run(loop, tokens);
  CHECK(allocations.load() == before);
  CHECK(written > 10);
}

}  // namespace

TEST_CASE("interleaved streams with drafts and sampling allocate nothing") {
  const auto model = tiny_model();
  const WaitK policy(1);
  RingDecoder small(model, ring_config({{.window = 12}}));
  NgramDrafter by_ngrams(1, 3, 32);
  DecoderDrafter by_decoder(small);
  for (Drafter* drafter : {static_cast<Drafter*>(&by_ngrams), static_cast<Drafter*>(&by_decoder)}) {
    RingDecoder decoder(model, ring_config({{.window = 16}}));
    InterleavedConfig config{.loop = loop_config(),
                             .prompt = {1, 2},
                             .before_unit = {4},
                             .after_unit = {5},
                             .after_turn = {6},
                             .after_silence = {},
                             .n_draft = 3};
    config.loop.sampler = {.temperature = 0.8F, .top_k = 20, .repetition_penalty = 1.1F};
    InterleavedLoop loop(decoder, policy, config, drafter);
    check_takes_no_memory(loop);
  }
}
