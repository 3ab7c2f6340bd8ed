// SPDX-License-Identifier: Apache-2.0
// The ring decoder in C++ alone: streams, threads, and damaged files under the sanitizers.
#include "decoder/ring_decoder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "decoder/graph/step_graph.h"
#include "tiny_gguf.h"

namespace {

using edgestream::GgufModel;
using edgestream::kTinyEmbd;
using edgestream::kTinyVocab;
using edgestream::RingDecoder;
using edgestream::RingDecoderConfig;
using edgestream::TinyGguf;

RingDecoderConfig small_ring() {
  return {.n_sinks = 2, .regions = {{.window = 12}}, .max_rows = 8, .rebase_rows = 20};
}

std::vector<float> random_rows(int n_rows, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> rows(static_cast<size_t>(n_rows) * kTinyEmbd);
  std::ranges::generate(rows, [&] { return normal(random); });
  return rows;
}

// The logits after each of the rows, one step a row.
std::vector<float> run(RingDecoder& decoder, std::span<const float> rows) {
  std::vector<float> all;
  for (size_t at = 0; at < rows.size(); at += kTinyEmbd) {
    const auto logits = decoder.step(rows.subspan(at, kTinyEmbd));
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

float greatest_difference(std::span<const float> a, std::span<const float> b) {
  float greatest = 0.F;
  for (size_t i = 0; i < a.size(); ++i) greatest = std::max(greatest, std::abs(a[i] - b[i]));
  return greatest;
}

}  // namespace

TEST_CASE("a stream cut anyhow gives what single rows give") {
  const TinyGguf file("edgestream_cuts.gguf");
  const auto model = std::make_shared<const GgufModel>(file.path());
  const std::vector<float> rows = random_rows(300, 2);
  RingDecoder single(model, small_ring());
  const std::vector<float> expected = run(single, rows);
  std::mt19937 random(3);
  for (int trial = 0; trial < 5; ++trial) {
    RingDecoder decoder(model, small_ring());
    for (int at = 0; at < 300;) {
      const int n = std::min(std::uniform_int_distribution<>(1, 40)(random), 300 - at);
      const auto logits = decoder.step(std::span(rows).subspan(at * kTinyEmbd, n * kTinyEmbd));
      at += n;
      const auto wanted = std::span(expected).subspan((at - 1) * kTinyVocab, kTinyVocab);
      REQUIRE(greatest_difference(logits, wanted) < 0.02F);  // float16 keys, values, activations
    }
    CHECK(decoder.pos() == 300);
  }
}

TEST_CASE("what exits early does not depend on the cutting") {
  const TinyGguf file("edgestream_exits.gguf");
  const auto model = std::make_shared<const GgufModel>(file.path());
  const std::vector<float> rows = random_rows(200, 2);
  RingDecoderConfig config = small_ring();
  config.kv_type = "f32";
  config.exit_layer = 1;
  config.exit_threshold = 0.1F;
  RingDecoder single(model, config);
  run(single, rows);
  CHECK(single.n_exits() > 20);
  CHECK(single.n_exits() < 180);
  for (const int n : {2, 3, 7, 8, 40}) {
    RingDecoder decoder(model, config);
    for (int at = 0; at < 200; at += n) {
      decoder.step(std::span(rows).subspan(at * kTinyEmbd, std::min(n, 200 - at) * kTinyEmbd));
    }
    CAPTURE(n);
    CHECK(decoder.n_exits() == single.n_exits());
  }
}

TEST_CASE("streams of one model in four threads give what they give one after the other") {
  const TinyGguf file("edgestream_threads.gguf");
  const auto model = std::make_shared<const GgufModel>(file.path());
  constexpr int kStreams = 4;
  std::vector<std::vector<float>> alone(kStreams);
  std::vector<std::vector<float>> together(kStreams);
  for (int i = 0; i < kStreams; ++i) {
    RingDecoder decoder(model, small_ring());
    alone[i] = run(decoder, random_rows(80, i));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kStreams; ++i) {
    threads.emplace_back([&, i] {
      RingDecoder decoder(model, small_ring());
      together[i] = run(decoder, random_rows(80, i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(alone == together);
}

TEST_CASE("only one of two threads in the same decoder is served at a time") {
  const TinyGguf file("edgestream_busy.gguf");
  RingDecoder decoder(std::make_shared<const GgufModel>(file.path()), small_ring());
  const std::vector<float> rows = random_rows(64, 4);
  std::atomic<int> n_served{0};
  std::atomic<int> n_refused{0};
  const auto work = [&] {
    for (int i = 0; i < 200; ++i) {
      try {
        decoder.step(rows);
        ++n_served;
      } catch (const std::runtime_error&) {
        ++n_refused;
      }
    }
  };
  std::thread one(work);
  std::thread other(work);
  one.join();
  other.join();
  CHECK(n_served + n_refused == 400);
  CHECK(decoder.pos() == int64_t{64} * n_served);
}

TEST_CASE("a damaged file is refused or harmless") {
  const TinyGguf file("edgestream_whole.gguf");
  std::ifstream stream(file.path(), std::ios::binary);
  const std::vector<char> whole{std::istreambuf_iterator<char>(stream), {}};
  const std::string path = file.path() + ".damaged";
  constexpr size_t kHeadBytes = 2000;  // what is parsed: metadata and the list of tensors
  std::mt19937 random(6);
  int n_refused = 0;
  for (int trial = 0; trial < 400; ++trial) {
    std::vector<char> damaged = whole;
    if (trial % 4 == 0) {
      damaged.resize(std::uniform_int_distribution<size_t>(0, whole.size() - 64)(random));
    } else {
      damaged[std::uniform_int_distribution<size_t>(0, kHeadBytes)(random)] =
          static_cast<char>(random());
    }
    std::ofstream(path, std::ios::binary).write(damaged.data(), std::ssize(damaged));
    try {
      RingDecoder decoder(std::make_shared<const GgufModel>(path), small_ring());
      decoder.step(random_rows(3, trial));
    } catch (const std::exception&) {
      ++n_refused;
    }
  }
  std::filesystem::remove(path);
  CHECK(n_refused >= 100);
}

TEST_CASE("wrong use is refused with its numbers") {
  const TinyGguf file("edgestream_errors.gguf");
  const auto model = std::make_shared<const GgufModel>(file.path());
  RingDecoder decoder(model, small_ring());
  std::vector<float> room(kTinyEmbd - 1);
  CHECK_THROWS_WITH_AS(decoder.step({}),
                       "decoder: got 0 numbers, a step takes one or more rows of 64",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(decoder.token_embedding(48, room),
                       "decoder: there is no token 48; this model has 48", std::invalid_argument);
  CHECK_THROWS_WITH_AS(decoder.token_embedding(0, room),
                       "decoder: an embedding has 64 numbers, room was given for 63",
                       std::invalid_argument);
  const TinyGguf narrow("edgestream_narrow.gguf", /*n_heads=*/4);
  const auto narrow_model = std::make_shared<const GgufModel>(narrow.path());
  CHECK_THROWS_AS(RingDecoder(narrow_model, {.regions = {{.window = 4}}, .kv_type = "q8_0"}),
                  std::invalid_argument);
}

TEST_CASE("only a step that gives logits reads the output matrix, and for the rows that get some") {
  const TinyGguf file("edgestream_output.gguf");
  const auto model = std::make_shared<const GgufModel>(file.path());
  const RingDecoderConfig config = small_ring();
  const edgestream::RingPlan plan(read_ring_shape(config, model->shape()));
  const edgestream::KvRing ring(*model, plan, GGML_TYPE_F16);
  const edgestream::StepInputs inputs(*model, plan, ring, /*exits_early=*/false);
  const std::vector reads{plan.rows().all_slots(0)};
  const auto rows_with_logits = [&](edgestream::LogitsOf logits) {
    const edgestream::Graph step = build_step_graph(*model, plan, ring, inputs,
                                                    {.n_rows = 8, .logits = logits}, reads, config);
    int64_t n_rows = 0;
    for (int i = 0; i < ggml_graph_n_nodes(step.nodes); ++i) {
      const ggml_tensor* const node = ggml_graph_node(step.nodes, i);
      if (node->src[0] == model->weights().output) n_rows += ggml_nelements(node) / kTinyVocab;
    }
    return n_rows;
  };
  CHECK(rows_with_logits(edgestream::LogitsOf::kNone) == 0);
  CHECK(rows_with_logits(edgestream::LogitsOf::kLastRow) == 1);
  CHECK(rows_with_logits(edgestream::LogitsOf::kEveryRow) == 8);
}
