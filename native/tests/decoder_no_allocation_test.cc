// SPDX-License-Identifier: Apache-2.0
// Once every kind of step has run, a decoder and the loop around it take no memory: not in our code
// and not in ggml's C++, whose operator new is this program's too.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/loop/concatenated_loop.h"
#include "core/loop/grouped_loop.h"
#include "core/loop/interleaved_loop.h"
#include "core/loop/reencoded_loop.h"
#include "counted_new.h"
#include "decoder/ring_decoder.h"
#include "tiny_gguf.h"

using edgestream::allocations;
using edgestream::Decoder;
using edgestream::GgufModel;
using edgestream::kTinyEmbd;
using edgestream::LogitsOf;
using edgestream::RegionRows;
using edgestream::RingDecoder;
using edgestream::RingDecoderConfig;
using edgestream::TinyGguf;

namespace {

constexpr int kMaxRows = 8;
constexpr int kUnits = 40;
constexpr std::array kKvTypes = {"f32", "f16", "bf16", "q8_0", "q4_0"};

std::shared_ptr<const GgufModel> tiny_model() {
  const TinyGguf file("edgestream_no_allocation.gguf");
  return std::make_shared<const GgufModel>(file.path());
}

std::vector<float> random_rows(int n_rows, int width = kTinyEmbd) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> rows(static_cast<size_t>(n_rows) * width);
  for (float& x : rows) x = normal(random);
  return rows;
}

// Every way to give rows: alone, in chunks, without logits, with all of them, proposed and kept; to
// all regions in one batch.
void use(Decoder& decoder, std::span<const float> rows) {
  const auto first = [&](int n) { return rows.first(static_cast<size_t>(n) * decoder.n_embd()); };
  const int other = decoder.n_regions() - 1;
  decoder.step(first(1));
  decoder.step(rows);
  const std::array groups = {RegionRows{0, first(3)}, RegionRows{other, first(1)}};
  for (const LogitsOf wanted : {LogitsOf::kNone, LogitsOf::kLastRow, LogitsOf::kEveryRow}) {
    decoder.step(groups, wanted);
  }
  for (const int n_kept : {0, 2, 4}) {
    decoder.propose(groups);
    decoder.keep(n_kept);
    decoder.begin_unit();
  }
}

void check_steps(const std::shared_ptr<const GgufModel>& model, const RingDecoderConfig& config) {
  const std::vector<float> rows = random_rows(2 * kMaxRows + 1, model->shape().row_width());
  RingDecoder decoder(model, config);
  use(decoder, rows);
  decoder.reset();
  use(decoder, rows);
  const long before = allocations.load();
  REQUIRE(before > 0);  // the counter itself works
  for (int lap = 0; lap < 10; ++lap) use(decoder, rows);
  decoder.reset();
  use(decoder, rows);
  CHECK(allocations.load() == before);
}

// The second and third pass over the units, rows and tokens in turn, after a first one in which
// buffers grew.
void check_loop(edgestream::TurnLoop& loop) {
  const std::vector<float> rows = random_rows(kUnits);
  const auto run = [&] {
    for (int32_t unit = 0; unit < kUnits; ++unit) {
      loop.push(std::span(rows).subspan(unit * kTinyEmbd, kTinyEmbd));
      loop.push_tokens({&unit, 1});
    }
    loop.finish();
    const int64_t n_written = loop.written();
    loop.reset();
    return n_written;
  };
  CHECK(run() > 10);
  const long before = allocations.load();
  run();
  run();
  CHECK(allocations.load() == before);
}

edgestream::LoopConfig writing() {
  edgestream::LoopConfig config;
  config.max_tokens_per_unit = 3;
  config.max_tokens_at_end = 5;
  config.n_text = 40;
  return config;
}

}  // namespace

TEST_CASE("steps and proposals allocate nothing, over several laps and rebases") {
  const auto model = tiny_model();
  for (const std::string kv_type : kKvTypes) {
    CAPTURE(kv_type);
    check_steps(
        model,
        {.n_sinks = 2, .regions = {{.window = 12}}, .kv_type = kv_type, .max_rows = kMaxRows});
  }
}

TEST_CASE("early exit allocates nothing, whether all rows exit, some, or none") {
  const auto model = tiny_model();
  for (const float threshold : {0.F, 0.1F, 2.F}) {
    CAPTURE(threshold);
    check_steps(model, {.n_sinks = 2,
                        .regions = {{.window = 12}},
                        .max_rows = kMaxRows,
                        .exit_layer = 1,
                        .exit_threshold = threshold});
  }
}

TEST_CASE("rows with parts for deepstack layers allocate nothing, exiting early or not") {
  const TinyGguf file("edgestream_deepstack.gguf", /*n_heads=*/2, /*n_deepstack=*/1);
  const auto model = std::make_shared<const GgufModel>(file.path());
  REQUIRE(model->shape().row_width() == 2 * kTinyEmbd);
  for (const int exit_layer : {0, 1}) {
    CAPTURE(exit_layer);
    check_steps(model, {.n_sinks = 2,
                        .regions = {{"vision", 12}, {"text", 6}},
                        .max_rows = kMaxRows,
                        .exit_layer = exit_layer,
                        .exit_threshold = 0.1F});
  }
}

TEST_CASE("several regions allocate nothing in any layout") {
  const auto model = tiny_model();
  for (const std::string layout : {"one-clock", "grouped", "overlap"}) {
    CAPTURE(layout);
    check_steps(model, {.n_sinks = 2,
                        .regions = {{"input", 12}, {"output", 6}},
                        .max_rows = kMaxRows,
                        .layout = layout});
  }
}

TEST_CASE("rows that leave by attention, or are merged, allocate nothing") {
  const auto model = tiny_model();
  for (const std::string retention : {"heavy-hitter", "merge"}) {
    for (const std::string kv_type : {"f16", "q8_0"}) {
      CAPTURE(retention + " " + kv_type);
      check_steps(model, {.n_sinks = 2,
                          .regions = {{.window = 40}},
                          .kv_type = kv_type,
                          .max_rows = kMaxRows,
                          .retention = retention,
                          .recent = 10});
    }
  }
}

TEST_CASE("the loops that write in turns allocate nothing, with a drafter and without") {
  const auto model = tiny_model();
  const edgestream::WaitK wait_k(2);
  edgestream::NgramDrafter ngrams(1, 3, 64);
  RingDecoder small(model, {.regions = {{.window = 12}}, .max_rows = kMaxRows});
  edgestream::DecoderDrafter by_decoder(small);
  for (edgestream::Drafter* const drafter :
       std::initializer_list<edgestream::Drafter*>{nullptr, &ngrams, &by_decoder}) {
    const int n_draft = drafter == nullptr ? 0 : 3;
    CAPTURE(n_draft);
    RingDecoder one(model, {.n_sinks = 2, .regions = {{.window = 30}}, .max_rows = kMaxRows});
    edgestream::InterleavedConfig chat;
    chat.loop = writing();
    chat.prompt = {1, 2};
    chat.before_unit = {3};
    if (n_draft > 0) {
      chat.loop.sampler = {.temperature = 0.8F, .top_k = 20, .repetition_penalty = 1.1F};
    }
    chat.n_draft = n_draft;
    edgestream::InterleavedLoop interleaved(one, wait_k, chat, drafter);
    check_loop(interleaved);

    RingDecoder two(model, {.n_sinks = 1,
                            .regions = {{"input", 12}, {"output", 12}},
                            .max_rows = kMaxRows,
                            .layout = "grouped"});
    edgestream::GroupedConfig groups;
    groups.loop = writing();
    groups.input_prompt = {1};
    groups.output_prompt = {2};
    groups.n_draft = n_draft;
    edgestream::GroupedLoop grouped(two, wait_k, groups, drafter);
    check_loop(grouped);
  }
}

TEST_CASE("the loop that encodes its window again allocates nothing") {
  const auto model = tiny_model();
  const edgestream::LocalAgreement agreement(1);
  for (const int n_draft : {0, 3}) {
    RingDecoder decoder(model, {.regions = {{.window = 60}}, .max_rows = kMaxRows});
    edgestream::ReencodedLoop loop(decoder, agreement,
                                   {.loop = writing(),
                                    .before_window = {1},
                                    .after_window = {2},
                                    .max_rows = 8,
                                    .keep_rows = 4,
                                    .max_hypothesis = 6,
                                    .n_draft = n_draft});
    check_loop(loop);
  }
}

TEST_CASE("the concatenated loop allocates nothing, with deferrals and without") {
  const auto model = tiny_model();
  const std::vector<float> rows = random_rows(kUnits);
  const edgestream::WaitK wait_k(2);
  const edgestream::ConfidenceThreshold confidence(2, 0.5F, 3);
  for (const edgestream::Policy* policy : {static_cast<const edgestream::Policy*>(&wait_k),
                                           static_cast<const edgestream::Policy*>(&confidence)}) {
    for (const int32_t deferrals : {0, 2}) {
      RingDecoder decoder(model, {.n_sinks = 2, .regions = {{.window = 12}}, .max_rows = 1});
      edgestream::ConcatenatedLoop loop(decoder, *policy,
                                        {.pad = 0, .bos = 1, .delay_0 = 2, .n_text = 40},
                                        /*delay_frames=*/2, /*pad_bias=*/0.F, deferrals);
      std::vector<int32_t> tokens(kUnits + deferrals);
      std::vector<float> probabilities(kUnits + deferrals);
      const auto run = [&] {
        for (size_t unit = 0; unit < kUnits; ++unit) {
          loop.push(std::span(rows).subspan(unit * kTinyEmbd, kTinyEmbd),
                    std::span(tokens).first(1 + loop.undecided()),
                    std::span(probabilities).first(1 + loop.undecided()));
        }
        loop.end_input();
        loop.reset();
      };
      run();
      const long before = allocations.load();
      run();
      run();
      CHECK(allocations.load() == before);
    }
  }
}
