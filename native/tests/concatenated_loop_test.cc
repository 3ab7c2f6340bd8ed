// SPDX-License-Identifier: Apache-2.0
// The read/write loop against a decoder whose logits are a known function of all rows so far.
#include "core/loop/concatenated_loop.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "toy_decoder.h"

namespace edgestream {
namespace {

constexpr SpecialTokens kSpecial{.pad = 0, .bos = 8, .delay_0 = 9, .n_text = 8};

std::vector<int32_t> run(ConcatenatedLoop& loop, const std::vector<float>& rows,
                         const std::vector<int>& cuts) {
  std::vector<int32_t> tokens(rows.size() / kToyWidth);
  std::vector<float> probabilities(tokens.size());
  size_t at = 0;
  for (const int n : cuts) {
    loop.push(std::span(rows).subspan(at * kToyWidth, n * kToyWidth),
              std::span(tokens).subspan(at, n), std::span(probabilities).subspan(at, n));
    at += n;
  }
  CHECK(at == tokens.size());
  return tokens;
}

TEST_CASE("any cutting gives the tokens of the whole, and reset starts anew") {
  ToyDecoder decoder;
  const ConfidenceThreshold policy(2, 0.6F, 2);
  ConcatenatedLoop loop(decoder, policy, kSpecial, 1, 0.5F);
  const auto rows = toy_rows(60, 1);
  const auto whole = run(loop, rows, {60});
  const int64_t written = loop.written();
  CHECK(written > 5);
  CHECK(written < 60);
  for (const auto& cuts : {std::vector<int>(60, 1), {0, 17, 0, 43}, {1, 2, 3, 5, 7, 11, 31}}) {
    loop.reset();
    CHECK(run(loop, rows, cuts) == whole);
    CHECK(loop.read() == 60);
    CHECK(loop.written() == written);
  }
}

TEST_CASE("the prompt is BOS and the delay, and goes in once") {
  ToyDecoder decoder;
  const WaitK policy(0);
  ConcatenatedLoop loop(decoder, policy, kSpecial, 2, 0.F);
  run(loop, toy_rows(3, 2), {1, 1, 1});
  CHECK(decoder.pos() == 2 + 3);
  ToyDecoder other;
  ConcatenatedLoop other_delay(other, policy, kSpecial, 0, 0.F);
  run(other_delay, toy_rows(3, 2), {3});
  std::array<float, kToyWidth> row{};
  const auto a = decoder.step(row);
  const auto b = other.step(row);
  CHECK(!std::equal(a.begin(), a.end(), b.begin()));
}

TEST_CASE("nothing is written before the delay, and only text tokens ever") {
  ToyDecoder decoder;
  const WaitK policy(6);
  ConcatenatedLoop loop(decoder, policy, kSpecial, 1, -1000.F);
  const auto tokens = run(loop, toy_rows(200, 3), {200});
  for (int t = 0; t < 5; ++t) CHECK(tokens[t] == kSpecial.pad);
  for (const int32_t token : tokens) CHECK((token >= 0 && token < kSpecial.n_text));
}

TEST_CASE("a large PAD bias writes always, a large negative one never") {
  ToyDecoder decoder;
  const WaitK policy(0);
  ConcatenatedLoop always(decoder, policy, kSpecial, 1, 1000.F);
  run(always, toy_rows(50, 4), {50});
  CHECK(always.written() == 50);
  ConcatenatedLoop never(decoder, policy, kSpecial, 1, -1000.F);
  run(never, toy_rows(50, 4), {50});
  CHECK(never.written() == 0);
}

TEST_CASE("a held token is written at the limit or when the source ends") {
  ToyDecoder decoder;
  const ConfidenceThreshold policy(0, 1.F, 3);
  ConcatenatedLoop loop(decoder, policy, kSpecial, 1, 1000.F);
  const auto tokens = run(loop, toy_rows(40, 5), {40});
  int held = 0;
  int longest = 0;
  for (const int32_t token : tokens) {
    held = token == kSpecial.pad ? held + 1 : 0;
    longest = std::max(longest, held);
  }
  CHECK(longest == 3);
  loop.end_input();
  for (const int32_t token : run(loop, toy_rows(10, 6), {10})) CHECK(token != kSpecial.pad);
}

TEST_CASE("the probability is that of the softmax over text tokens with the bias") {
  ToyDecoder decoder;
  const WaitK policy(0);
  ConcatenatedLoop loop(decoder, policy, kSpecial, 1, 0.25F);
  const auto row = toy_rows(1, 7);
  std::vector<int32_t> token(1);
  std::vector<float> probability(1);
  loop.push(row, token, probability);
  ToyDecoder oracle;
  std::array<float, kToyWidth> e{};
  std::array<float, kToyWidth> input{};
  oracle.token_embedding(kSpecial.bos, e);
  oracle.step(e);
  oracle.token_embedding(kSpecial.delay_0 + 1, e);
  oracle.step(e);
  oracle.token_embedding(kSpecial.pad, input);
  for (int i = 0; i < kToyWidth; ++i) input[i] += row[i] + e[i];
  const auto logits = oracle.step(input);
  double sum = 0;
  double best = 0;
  for (int v = 0; v < kSpecial.n_text; ++v) {
    const double p = std::exp(static_cast<double>(logits[v]) - (v == 0 ? 0.25 : 0.0));
    sum += p;
    best = std::max(best, p);
  }
  CHECK(probability[0] == doctest::Approx(best / sum).epsilon(1e-5));
}

// Writes two proposals of every four and keeps what it was shown.
class Witness final : public Policy {
 public:
  Action decide(const Observation& seen) const override {
    shown.push_back(seen);
    return shown.size() % 4 > 1 ? Action::kWrite : Action::kRead;
  }
  mutable std::vector<Observation> shown;
};

TEST_CASE("a policy sees the scores of the softmax and the counts of the stream") {
  ToyDecoder decoder;
  const Witness policy;
  ConcatenatedLoop loop(decoder, policy, kSpecial, 1, 0.5F);
  const auto rows = toy_rows(80, 8);
  int64_t last_write = 0;
  int64_t written = 0;
  int64_t turn = 0;
  int64_t longest_turn = 0;
  for (int64_t t = 1; t <= 80; ++t) {
    const size_t before = policy.shown.size();
    int32_t token = 0;
    float probability = 0;
    loop.push(std::span(rows).subspan((t - 1) * kToyWidth, kToyWidth), {&token, 1},
              {&probability, 1});
    if (policy.shown.size() > before) {
      const Observation& seen = policy.shown.back();
      std::array<double, kSpecial.n_text> p{};
      CHECK(seen.read == t);
      CHECK(seen.written == written);
      CHECK(seen.since_write == t - last_write);
      CHECK(seen.turn == turn);
      CHECK(seen.writing == (turn > 0));
      CHECK(seen.agreed == -1);
      CHECK(seen.attended_lag == -1);
      CHECK(std::isnan(seen.outside));
      const auto logits = decoder.logits();  // of the row just taken
      double sum = 0;
      for (int v = 0; v < kSpecial.n_text; ++v) {
        sum += p[v] = std::exp(static_cast<double>(logits[v]) - (v == kSpecial.pad ? 0.5 : 0.0));
      }
      double entropy = 0;
      for (double& x : p) {
        x /= sum;
        entropy -= x * std::log(x);
      }
      CHECK(seen.silence == doctest::Approx(p[kSpecial.pad]).epsilon(1e-5));
      CHECK(seen.entropy == doctest::Approx(entropy).epsilon(1e-4));
      std::sort(p.rbegin(), p.rend());
      CHECK(seen.probability == doctest::Approx(p[0]).epsilon(1e-5));
      CHECK(seen.margin == doctest::Approx(p[0] - p[1]).epsilon(1e-4));
    }
    longest_turn = std::max(longest_turn, turn);
    turn = token == kSpecial.pad ? 0 : turn + 1;
    written += token == kSpecial.pad ? 0 : 1;
    if (token != kSpecial.pad) last_write = t;
  }
  CHECK(written > 5);
  CHECK(longest_turn > 1);
}

// Defers what is less probable than the threshold, and everything of the first units.
class Unsure final : public Policy {
 public:
  explicit Unsure(float threshold, int64_t ignored = 0)
      : threshold_(threshold), ignored_(ignored) {}
  Action decide(const Observation& seen) const override {
    const bool sure = seen.probability >= threshold_ && seen.read > ignored_;
    return sure ? Action::kWrite : Action::kRead;
  }

 private:
  float threshold_;
  int64_t ignored_;
};

struct Slots {
  std::vector<int32_t> tokens, waited;
};

Slots slots_of(ConcatenatedLoop& loop, const std::vector<float>& rows,
               const std::vector<int>& cuts) {
  Slots all;
  size_t at = 0;
  for (const int n : cuts) {
    const auto room = static_cast<size_t>(n + loop.undecided());
    std::vector<int32_t> tokens(room);
    std::vector<int32_t> waited(room);
    std::vector<float> probabilities(room);
    const size_t n_written = loop.push(std::span(rows).subspan(at * kToyWidth, n * kToyWidth),
                                       tokens, probabilities, waited);
    all.tokens.insert(all.tokens.end(), tokens.begin(), tokens.begin() + n_written);
    all.waited.insert(all.waited.end(), waited.begin(), waited.begin() + n_written);
    at += n;
  }
  CHECK(static_cast<int64_t>(all.tokens.size()) + loop.undecided() == loop.read());
  return all;
}

TEST_CASE("a policy that defers nothing makes deferrals a plain loop") {
  ToyDecoder one;
  ToyDecoder other;
  const Unsure policy(0.F);
  ConcatenatedLoop plain(one, policy, kSpecial, 0, 0.5F);
  ConcatenatedLoop cascade(other, policy, kSpecial, 0, 0.5F, 2);
  const auto rows = toy_rows(100, 9);
  const Slots slots = slots_of(cascade, rows, {100});
  CHECK(slots.tokens == run(plain, rows, {100}));
  CHECK(slots.waited == std::vector<int32_t>(100, 0));
}

TEST_CASE("a policy that defers everything leaves the slots of the longer delay") {
  ToyDecoder one;
  ToyDecoder other;
  const Unsure nothing_for_two_steps(0.F, 2);
  const ConfidenceThreshold always(0, 1.F, 2);
  ConcatenatedLoop slow(one, nothing_for_two_steps, kSpecial, 2, 0.5F);
  ConcatenatedLoop cascade(other, always, kSpecial, 0, 0.5F, 2);
  const auto rows = toy_rows(100, 10);
  const auto expected = run(slow, rows, {100});
  const Slots slots = slots_of(cascade, rows, {100});
  CHECK(slots.tokens == std::vector<int32_t>(expected.begin() + 2, expected.end()));
  CHECK(slots.waited == std::vector<int32_t>(98, 2));
}

TEST_CASE("with deferrals any cutting gives the slots of the whole, in their order and time") {
  ToyDecoder decoder;
  const Unsure policy(0.8F);
  ConcatenatedLoop loop(decoder, policy, kSpecial, 0, 0.5F, 2);
  const auto rows = toy_rows(120, 11);
  const Slots whole = slots_of(loop, rows, {120});
  int deferred = 0;
  for (size_t i = 0; i < whole.waited.size(); ++i) {
    CHECK(whole.waited[i] >= 0);
    CHECK(whole.waited[i] <= 2);
    if (i > 0) CHECK(whole.waited[i] + 1 >= whole.waited[i - 1]);
    deferred += whole.waited[i] > 0 ? 1 : 0;
  }
  CHECK(deferred > 20);
  CHECK(deferred < 110);
  for (const auto& cuts : {std::vector<int>(120, 1), {0, 50, 1, 69}, {7, 0, 0, 3, 110}}) {
    loop.reset();
    const Slots slots = slots_of(loop, rows, cuts);
    CHECK(slots.tokens == whole.tokens);
    CHECK(slots.waited == whole.waited);
  }
}

TEST_CASE("runs that propose the same agree, and local agreement writes then") {
  ToyDecoder decoder;
  const LocalAgreement agreement;
  const ConfidenceThreshold last(0, 1.F, 2);  // the third run decides
  const AnyOf policy({&agreement, &last});
  ConcatenatedLoop loop(decoder, policy, kSpecial, 0, 0.5F, 2);
  const Slots slots = slots_of(loop, toy_rows(900, 12), {900});
  const auto waited = [&](int32_t n) { return std::ranges::count(slots.waited, n); };
  CHECK(waited(0) < 5);  // only what has a probability of 1
  CHECK(waited(1) > 20);
}

TEST_CASE("deferrals that the delays do not cover are refused") {
  ToyDecoder decoder;
  const WaitK policy(0);
  CHECK_THROWS_AS(ConcatenatedLoop(decoder, policy, kSpecial, 1, 0.F, 2), std::invalid_argument);
  CHECK_THROWS_AS(ConcatenatedLoop(decoder, policy, kSpecial, 1, 0.F, -1), std::invalid_argument);
}

// Greedy tokens by definition: rows of tokens alone first, then each unit with the token before it.
std::vector<int32_t> greedy(const std::vector<float>& rows, const std::vector<int32_t>& alone,
                            std::vector<int32_t> given) {
  ToyDecoder decoder;
  std::array<float, kToyWidth> row{};
  const auto best = [](std::span<const float> logits) {
    return static_cast<int32_t>(std::ranges::max_element(logits.first(kSpecial.n_text)) -
                                logits.begin());
  };
  int32_t next = -1;
  for (const int32_t token : alone) {
    decoder.token_embedding(token, row);
    next = best(decoder.step(row));
  }
  std::vector<int32_t> written;
  for (size_t at = 0; at < rows.size(); at += kToyWidth) {
    const size_t i = at / kToyWidth;
    decoder.token_embedding(i < given.size() ? given[i] : next, row);
    for (int d = 0; d < kToyWidth; ++d) row[d] += rows[at + d];
    next = best(decoder.step(row));
    written.push_back(i + 1 < given.size() ? kSpecial.pad : next);
  }
  return written;
}

TEST_CASE("without tokens for delays the model says what is before the first slot") {
  const WaitK policy(0);
  int other = 0;  // streams in which PAD there would have made another text
  for (const int32_t bos : {8, 9, 10, 11}) {
    const SpecialTokens special{.pad = 0, .bos = bos, .n_text = 8};
    for (const unsigned seed : {21U, 22U, 23U}) {
      const auto rows = toy_rows(60, seed);
      ToyDecoder decoder;
      ConcatenatedLoop loop(decoder, policy, special, 5, 0.F);
      const auto whole = greedy(rows, {bos}, {});
      CHECK(run(loop, rows, {60}) == whole);
      loop.reset();
      CHECK(run(loop, rows, {1, 0, 58, 1}) == whole);
      other += greedy(rows, {bos}, {special.pad}) != whole ? 1 : 0;
    }
  }
  CHECK(other > 0);
  ToyDecoder decoder;
  CHECK_THROWS_AS(ConcatenatedLoop(decoder, policy, {0, 8, -1, 8}, 5, 0.F, 1),
                  std::invalid_argument);
}

TEST_CASE("a prompt is read with the first units and leaves their slots empty") {
  const WaitK policy(0);
  const SpecialTokens special{.pad = 2, .bos = 8, .n_text = 8, .prompt_pads = 3};
  const auto rows = toy_rows(60, 22);
  ToyDecoder decoder;
  for (const int delay : {0, 4}) {
    std::vector<int32_t> given(4 + delay, special.pad);
    given[0] = special.bos;
    ConcatenatedLoop loop(decoder, policy, special, delay, 0.F);
    const auto slots = run(loop, rows, {60});
    auto expected = greedy(rows, {}, given);
    std::fill_n(expected.begin(), given.size() - 1, special.pad);
    CHECK(slots == expected);
    CHECK(std::ranges::count(slots, special.pad) < 40);
    loop.reset();
    CHECK(run(loop, rows, {2, 3, 0, 1, 54}) == slots);
  }
}

TEST_CASE("tokens and sizes that do not fit are refused") {
  ToyDecoder decoder;
  const WaitK policy(0);
  const auto with = [&](SpecialTokens special, int delay) {
    return ConcatenatedLoop(decoder, policy, special, delay, 0.F);
  };
  CHECK_THROWS_AS(with({0, kToyVocab, 9, 8}, 0), std::invalid_argument);
  CHECK_THROWS_AS(with({8, 8, 9, 8}, 0), std::invalid_argument);
  CHECK_THROWS_AS(with({0, 8, 9, kToyVocab + 1}, 0), std::invalid_argument);
  CHECK_THROWS_AS(with({0, 8, 9, 0}, 0), std::invalid_argument);
  CHECK_THROWS_AS(with({0, 8, 9, 8}, 3), std::invalid_argument);
  CHECK_THROWS_AS(with({0, 8, 9, 8}, -1), std::invalid_argument);
  CHECK_THROWS_AS(with({0, 8, -2, 8}, 0), std::invalid_argument);
  CHECK_THROWS_AS(with({0, 8, 9, 8, 4}, 0), std::invalid_argument);
  CHECK_THROWS_AS(with({.bos = 8, .n_text = 8, .prompt_pads = -2}, 0), std::invalid_argument);
  auto loop = with(kSpecial, 0);
  std::vector<int32_t> tokens(2);
  std::vector<float> probabilities(2);
  std::vector<float> rows(2 * kToyWidth + 1);
  CHECK_THROWS_AS(loop.push(rows, tokens, probabilities), std::invalid_argument);
}

}  // namespace
}  // namespace edgestream
