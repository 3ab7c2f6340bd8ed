// SPDX-License-Identifier: Apache-2.0
// The interleaved loop against its own definition, spelled out row by row.
#include "core/loop/interleaved_loop.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "toy_stream.h"

namespace edgestream {
namespace {

constexpr int kUnitRows = 3;

InterleavedConfig chat_config() {
  InterleavedConfig config;
  config.loop.unit_rows = kUnitRows;
  config.loop.max_tokens_per_unit = 5;
  config.loop.max_tokens_at_end = 9;
  config.loop.silence = 2;
  config.loop.end_of_turn = {7, 3};
  config.prompt = {1, 4};
  config.before_unit = {5};
  config.after_unit = {6, 1};
  config.after_turn = {8};
  config.after_silence = {9};
  return config;
}

// Steps a decoder one row at a time, as the paradigm is defined.
class Definition {
 public:
  Definition(const InterleavedConfig& config, const Policy& policy)
      : config_(config), policy_(policy), closing_(config.prompt) {}

  std::vector<Written> run(std::span<const float> rows) {
    const size_t unit = static_cast<size_t>(config_.loop.unit_rows) * kToyWidth;
    while (!rows.empty()) {
      finished_ = rows.size() < unit;
      const auto now = rows.first(std::min(unit, rows.size()));
      enter(closing_);
      enter(config_.before_unit);
      for (size_t at = 0; at < now.size(); at += kToyWidth) step(now.subspan(at, kToyWidth));
      enter(config_.after_unit);
      ++read_;
      turn(config_.loop.max_tokens_per_unit);
      rows = rows.subspan(now.size());
    }
    finished_ = true;
    if (goes_on_) turn(config_.loop.max_tokens_at_end);
    return written_;
  }

 private:
  void step(std::span<const float> row) {
    const auto logits = decoder_.step(row);
    logits_.assign(logits.begin(), logits.end());
  }

  void enter(const std::vector<int32_t>& tokens) {
    std::array<float, kToyWidth> row{};
    for (const int32_t token : tokens) {
      decoder_.token_embedding(token, row);
      step(row);
    }
  }

  void turn(int limit) {
    int n = 0;
    goes_on_ = true;
    int32_t token = -1;
    for (; n < limit; ++n) {
      token = static_cast<int32_t>(std::ranges::max_element(logits_) - logits_.begin());
      const bool silent = token == config_.loop.silence;
      goes_on_ = !silent && !ends(token);
      const Distribution distribution(logits_);
      const auto n_written = static_cast<int64_t>(written_.size());
      const float probability = distribution.probability(logits_[token]);
      if (!goes_on_ || policy_.decide({.read = read_,
                                       .written = n_written,
                                       .finished = finished_,
                                       .probability = probability,
                                       .entropy = distribution.entropy()}) == Action::kRead) {
        break;
      }
      written_.push_back({token, probability, read_});
      enter({token});
    }
    if (ends(token) && n < limit) {
      closing_ = {token, config_.after_turn.front()};
    } else if (n == 0) {
      closing_ = {config_.loop.silence, config_.after_silence.front()};
    } else {
      closing_ = {config_.loop.end_of_turn.front(), config_.after_turn.front()};
    }
  }

  bool ends(int32_t token) const {
    return token == config_.loop.end_of_turn[0] || token == config_.loop.end_of_turn[1];
  }

  const InterleavedConfig& config_;
  const Policy& policy_;
  ToyDecoder decoder_;
  std::vector<int32_t> closing_;
  std::vector<float> logits_;
  std::vector<Written> written_;
  int64_t read_ = 0;
  bool goes_on_ = false;
  bool finished_ = false;
};

TEST_CASE("any cutting writes what the definition says, with and without drafts") {
  const MoodyPolicy policy;
  const auto config = chat_config();
  size_t n_written = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    const int n_rows = 60 + static_cast<int>(seed % kUnitRows);
    const auto rows = toy_rows(n_rows, seed);
    const auto expected = Definition(config, policy).run(rows);
    n_written += expected.size();
    check_cuttings<InterleavedLoop>(config, policy, 1, rows, expected, seed);
  }
  CHECK(n_written > 200);
}

TEST_CASE("whole units write what the same rows pushed one by one do") {
  const MoodyPolicy policy;
  const auto config = chat_config();
  for (unsigned seed = 0; seed < 10; ++seed) {
    const auto rows = toy_rows(60, seed);
    const auto expected = Definition(config, policy).run(rows);
    ToyDecoder decoder;
    InterleavedLoop loop(decoder, policy, config);
    std::vector<Written> all;
    for (size_t at = 0; at < rows.size(); at += kUnitRows * kToyWidth) {
      const auto some = loop.push_unit(std::span(rows).subspan(at, kUnitRows * kToyWidth), {});
      all.insert(all.end(), some.begin(), some.end());
    }
    const auto rest = loop.finish();
    all.insert(all.end(), rest.begin(), rest.end());
    CHECK(all == expected);
  }
}

TEST_CASE("a unit of no rows, or between the rows of another, is refused with nothing taken") {
  const EagerPolicy policy;
  ToyDecoder decoder;
  InterleavedLoop loop(decoder, policy, chat_config());
  const auto rows = toy_rows(4, 1);
  CHECK_THROWS_AS(loop.push_unit({}, {}), std::invalid_argument);
  CHECK_THROWS_AS(loop.push_unit(std::span(rows).first(3), {}), std::invalid_argument);
  loop.push(std::span(rows).first(kToyWidth));
  CHECK_THROWS_WITH_AS(loop.push_unit(rows, {}),
                       "loop: 1 rows wait for their unit; push its rest first",
                       std::invalid_argument);
  CHECK(loop.read() == 0);
}

TEST_CASE("a decoder of the same weights drafts without a miss and saves batches") {
  const EagerPolicy policy;
  InterleavedConfig config;  // text: units are tokens
  config.loop.max_tokens_per_unit = 4;
  const std::vector<int32_t> text{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4};
  const auto run = [&](InterleavedLoop& loop) {
    std::vector<Written> all;
    for (const int32_t token : text) {
      const auto some = loop.push_tokens({&token, 1});
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  };
  ToyDecoder plain_decoder;
  InterleavedLoop plain(plain_decoder, policy, config);
  const auto expected = run(plain);
  CHECK(expected.size() > 20);

  ToyDecoder small;
  DecoderDrafter drafter(small);
  config.n_draft = 3;
  ToyDecoder decoder;
  InterleavedLoop loop(decoder, policy, config, &drafter);
  CHECK(run(loop) == expected);
  CHECK(decoder.n_batches() < plain_decoder.n_batches());
  CHECK(loop.draft_counts().drafted == 3 * std::ssize(text));
  CHECK(loop.draft_counts().verified == loop.draft_counts().drafted);

  ToyDecoder worse(1, 8, 1.02F);
  DecoderDrafter guesses(worse);
  ToyDecoder third;
  InterleavedLoop guessed(third, policy, config, &guesses);
  CHECK(run(guessed) == expected);
  CHECK(guessed.draft_counts().verified > 0);
  CHECK(guessed.draft_counts().verified < loop.draft_counts().verified);
  CHECK(guessed.draft_counts().drafted < 2 * guessed.draft_counts().batches);  // few after misses
}

TEST_CASE("seeded sampling draws the same tokens with drafts as without") {
  const EagerPolicy policy;
  auto config = chat_config();
  config.loop.sampler = {.temperature = 0.7F, .top_k = 6, .repetition_penalty = 1.2F, .seed = 5};
  const auto rows = toy_rows(90, 8);
  ToyDecoder decoder;
  InterleavedLoop plain(decoder, policy, config);
  const auto expected = run_stream(plain, rows, std::vector<int>{90});
  CHECK(expected.size() > 10);
  CHECK(run_stream(plain, rows, std::vector<int>{40, 50}) == expected);
  NgramDrafter drafter(1, 3, 64);
  config.n_draft = 5;
  ToyDecoder other;
  InterleavedLoop drafted(other, policy, config, &drafter);
  CHECK(run_stream(drafted, rows, std::vector<int>{90}) == expected);
}

TEST_CASE(
    "a limit of tokens writes what a configuration of as many does, with and without drafts") {
  const EagerPolicy policy;
  auto config = chat_config();
  const auto rows = toy_rows(90, 9);
  for (const int n_draft : {0, 4}) {
    config.n_draft = n_draft;
    config.loop.max_tokens_per_unit = 5;
    NgramDrafter drafter(1, 3, 64);
    NgramDrafter same(1, 3, 64);
    ToyDecoder decoder;
    InterleavedLoop limited(decoder, policy, config, n_draft > 0 ? &drafter : nullptr);
    limited.limit_turns(2, 1e9);
    config.loop.max_tokens_per_unit = 2;
    ToyDecoder other;
    InterleavedLoop configured(other, policy, config, n_draft > 0 ? &same : nullptr);
    const auto expected = run_stream(configured, rows, std::vector<int>{90});
    CHECK(expected.size() > 10);
    CHECK(run_stream(limited, rows, std::vector<int>{50, 40}) == expected);
    limited.limit_turns(5, 0.0);
    const auto shortest = run_stream(limited, rows, std::vector<int>{90});
    for (size_t i = 1; i < shortest.size(); ++i) {
      const bool at_end = shortest[i].read == 90 / kUnitRows;
      CHECK((at_end || shortest[i].read > shortest[i - 1].read));
    }
  }
  ToyDecoder decoder;
  InterleavedLoop loop(decoder, policy, chat_config());
  CHECK_THROWS_AS(loop.limit_turns(0, 1.0), std::invalid_argument);
  CHECK_THROWS_AS(loop.limit_turns(1, -1.0), std::invalid_argument);
}

TEST_CASE("what a fork is asked leaves no trace and is answered as if asked here") {
  const MoodyPolicy policy;
  const auto config = chat_config();
  const auto rows = toy_rows(90, 12);
  const auto question = toy_rows(kUnitRows, 13);
  const size_t unit = static_cast<size_t>(kUnitRows) * kToyWidth;
  ToyDecoder decoder;
  InterleavedLoop loop(decoder, policy, config);
  ToyDecoder plain_decoder;
  InterleavedLoop plain(plain_decoder, policy, config);
  size_t n_answered = 0;
  for (size_t at = 0; at < rows.size(); at += unit) {
    const auto now = std::span(rows).subspan(at, unit);
    const auto written = plain.push(now);
    const std::vector<Written> expected(written.begin(), written.end());
    CHECK(std::ranges::equal(loop.push(now), expected));
    loop.settle();
    const auto fork = decoder.fork();
    InterleavedLoop aside(*fork, policy, config);
    aside.follow(loop);
    ToyDecoder other;
    InterleavedLoop asked(other, policy, config);
    asked.push(std::span(rows).first(at + unit));
    const auto here = asked.push(question);
    CHECK(std::ranges::equal(aside.push(question), here));
    n_answered += here.size();
  }
  CHECK(n_answered > 20);
  const auto rest = plain.finish();
  CHECK(std::ranges::equal(loop.finish(), rest));
}

// Notes what it was asked.
class Witness final : public Policy {
 public:
  Action decide(const Observation& seen) const override {
    asked.push_back(seen);
    return seen.silence < 0.5F ? Action::kWrite : Action::kRead;
  }
  mutable std::vector<Observation> asked;
};

TEST_CASE("where the policy decides about silence it is never proposed") {
  const Witness policy;
  auto config = chat_config();
  config.loop.overrule_silence = true;
  config.loop.silence_bias = -6.F;
  ToyDecoder decoder;
  InterleavedLoop loop(decoder, policy, config);
  const auto written = run_stream(loop, toy_rows(150, 3), std::vector<int>{150});
  CHECK(written.size() > 5);
  for (const Written& one : written) CHECK(one.token != config.loop.silence);
  CHECK(std::ranges::any_of(policy.asked, [](const Observation& o) { return o.silence >= 0.5F; }));
}

TEST_CASE("policies see the score from outside and the units since the last token") {
  const Witness policy;
  ToyDecoder decoder;
  InterleavedLoop loop(decoder, policy, chat_config());
  loop.push(toy_rows(30, 4));
  CHECK(std::isnan(policy.asked.back().outside));
  loop.set_outside(0.75F);
  policy.asked.clear();
  loop.push(toy_rows(60, 5));
  REQUIRE(!policy.asked.empty());
  int64_t since_write = -1;
  for (const Observation& seen : policy.asked) {
    CHECK(seen.outside == 0.75F);
    CHECK(seen.writing == (seen.turn > 0));
    CHECK(seen.agreed == -1);
    CHECK(seen.attended_lag == -1);
    since_write = std::max(since_write, seen.since_write);
  }
  CHECK(since_write > 0);
  loop.reset();
  policy.asked.clear();
  loop.push(toy_rows(60, 6));
  CHECK(std::isnan(policy.asked.back().outside));
}

TEST_CASE("attention names the unit that is looked at") {
  const Witness policy;
  auto config = chat_config();
  ToyDecoder decoder;
  decoder.capture_attention();
  InterleavedLoop loop(decoder, policy, config);
  const auto rows = toy_rows(60, 7);
  for (size_t at = 0; at < rows.size(); at += kUnitRows * kToyWidth) {
    policy.asked.clear();
    loop.push(std::span(rows).subspan(at, kUnitRows * kToyWidth));
    for (const Observation& seen : policy.asked) {
      CHECK(seen.attended_lag >= 0);
      CHECK(seen.attended_lag < seen.read);
    }
  }
}

TEST_CASE("the most attended unit is found by the rows that attention still reaches") {
  InputAttention attention;
  CHECK(attention.lag(std::vector<float>(4, 0.25F), 4) == -1);
  attention.read(2, 5);
  attention.read(7, 10);
  CHECK(attention.lag({}, 10) == -1);
  attention.read(2, 5);
  attention.read(7, 10);
  attention.read(12, 13);
  // Row 0 is no unit's, whatever its weight; row 3 is the first unit's.
  std::vector<float> weights(14, 0.01F);
  weights[0] = 0.9F;
  weights[3] = 0.1F;
  CHECK(attention.lag(weights, 14) == 2);
  weights[8] = 0.2F;
  CHECK(attention.lag(weights, 14) == 1);
  // The newest nine rows hold two units only.
  CHECK(attention.lag(std::span(weights).last(9), 14) == 1);
  weights[12] = 0.3F;
  CHECK(attention.lag(std::span(weights).last(9), 14) == 0);
}

TEST_CASE("a decoder that counts other rows than it was given is refused, not read past its end") {
  InputAttention attention;
  attention.read(2, 5);
  const std::vector<float> weights(4, 0.25F);
  CHECK_THROWS_AS(attention.lag(weights, 4), std::runtime_error);  // fewer than were read
  CHECK(attention.lag({}, 4) == -1);  // nothing is looked up without attention
  attention.read(20, 22);
  attention.read(2, 5);  // the count went back
  CHECK(attention.lag(weights, 22) == 0);
}

TEST_CASE("input and everything else may enter regions of their own") {
  const MoodyPolicy policy;
  auto config = chat_config();
  config.output_region = 1;
  ToyDecoder decoder(2);
  decoder.capture_attention();
  InterleavedLoop loop(decoder, policy, config);
  const auto rows = toy_rows(60, 11);
  const auto written = run_stream(loop, rows, std::vector<int>{60});
  CHECK(written.size() > 5);
  CHECK(decoder.attention(0).size() == 60);
  NgramDrafter drafter(1, 2, 64);
  config.n_draft = 4;
  ToyDecoder other(2);
  InterleavedLoop drafted(other, policy, config, &drafter);
  CHECK(run_stream(drafted, rows, toy_cuts(60, 11)) == written);
}

TEST_CASE("tokens, drafts and rows that do not fit are refused") {
  ToyDecoder decoder;
  const WaitK policy(0);
  const auto refuses = [&](auto change) {
    auto config = chat_config();
    change(config);
    CHECK_THROWS_AS(InterleavedLoop(decoder, policy, config), std::invalid_argument);
  };
  refuses([](auto& c) { c.prompt = {kToyVocab}; });
  refuses([](auto& c) { c.before_unit = {-1}; });
  refuses([](auto& c) { c.after_unit = {99}; });
  refuses([](auto& c) { c.after_turn = {99}; });
  refuses([](auto& c) { c.after_silence = {99}; });
  refuses([](auto& c) { c.loop.end_of_turn = {99}; });
  refuses([](auto& c) { c.loop.silence = kToyVocab; });
  refuses([](auto& c) { c.loop.silence_bias = std::nanf(""); });
  refuses([](auto& c) { c.loop.unit_rows = 0; });
  refuses([](auto& c) { c.loop.max_tokens_per_unit = 0; });
  refuses([](auto& c) { c.loop.max_tokens_at_end = -1; });
  refuses([](auto& c) { c.loop.n_text = kToyVocab + 1; });
  refuses([](auto& c) { c.n_draft = 1; });
  refuses([](auto& c) { c.input_region = 1; });
  refuses([](auto& c) { c.output_region = -1; });
  refuses([](auto& c) {
    c.loop.silence = -1;
    c.loop.overrule_silence = true;
  });
  InterleavedLoop loop(decoder, policy, chat_config());
  CHECK_THROWS_AS(loop.push(std::vector<float>(5)), std::invalid_argument);
  CHECK_THROWS_AS(loop.push_tokens(std::vector<int32_t>{kToyVocab}), std::invalid_argument);
  CHECK(loop.finish().empty());
  CHECK(loop.read() == 0);
}

}  // namespace
}  // namespace edgestream
