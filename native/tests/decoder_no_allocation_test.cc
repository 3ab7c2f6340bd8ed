// SPDX-License-Identifier: Apache-2.0
// Once every kind of step has run, a decoder and the loop around it take no memory: not in our code
// and not in ggml's C++, whose operator new is this program's too.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/concatenated_loop.h"
#include "counted_new.h"
#include "decoder/ring_decoder.h"
#include "tiny_gguf.h"

using edgestream::allocations;
using edgestream::Decoder;
using edgestream::GgufModel;
using edgestream::LogitsOf;
using edgestream::RegionRows;
using edgestream::RingDecoder;
using edgestream::TinyGguf;

namespace {

constexpr int kMaxRows = 8;
constexpr std::array kKvTypes = {"f16", "f32"};

std::shared_ptr<const GgufModel> tiny_model() {
  const TinyGguf file("edgestream_no_allocation.gguf");
  return std::make_shared<const GgufModel>(file.path());
}

std::vector<float> random_rows(int n_rows) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> rows(static_cast<size_t>(n_rows) * edgestream::kTinyEmbd);
  for (float& x : rows) x = normal(random);
  return rows;
}

// Every way to give rows: alone, in chunks, without logits, with all of them, proposed and kept.
void use(Decoder& decoder, std::span<const float> rows) {
  const auto first = [&](int n) { return rows.first(static_cast<size_t>(n) * decoder.n_embd()); };
  decoder.step(first(1));
  decoder.step(rows);
  const std::array groups = {RegionRows{0, first(3)}, RegionRows{0, first(1)}};
  for (const LogitsOf wanted : {LogitsOf::kNone, LogitsOf::kLastRow, LogitsOf::kEveryRow}) {
    decoder.step(groups, wanted);
  }
  for (const int n_kept : {0, 2, 5}) {
    const std::array proposed = {RegionRows{0, first(5)}};
    decoder.propose(proposed);
    decoder.keep(n_kept);
  }
}

}  // namespace

TEST_CASE("steps and proposals allocate nothing, over several laps and rebases") {
  const auto model = tiny_model();
  const std::vector<float> rows = random_rows(2 * kMaxRows + 1);
  for (const std::string kv_type : kKvTypes) {
    CAPTURE(kv_type);
    RingDecoder decoder(
        model,
        {.n_sinks = 2, .regions = {{.window = 12}}, .kv_type = kv_type, .max_rows = kMaxRows});
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
}

TEST_CASE("the concatenated loop allocates nothing, with deferrals and without") {
  const auto model = tiny_model();
  constexpr int kUnits = 40;
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
          loop.push(std::span(rows).subspan(unit * edgestream::kTinyEmbd, edgestream::kTinyEmbd),
                    std::span(tokens).first(1 + loop.undecided()),
                    std::span(probabilities).first(1 + loop.undecided()));
        }
        loop.finish();
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
