// SPDX-License-Identifier: Apache-2.0
// The re-encoded loop against its own definition: decoded from nothing, no drafts.
#include "core/loop/reencoded_loop.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "toy_stream.h"

namespace edgestream {
namespace {

// Local agreement: what the last hypotheses share is committed.
class Agreement final : public Policy {
 public:
  Action decide(const Observation& seen) const override {
    most_agreed = std::max(most_agreed, seen.agreed);
    return seen.agreed > 0 || seen.finished ? Action::kWrite : Action::kRead;
  }
  mutable int64_t most_agreed = -1;
};

ReencodedConfig speech_config() {
  ReencodedConfig config;
  config.loop.unit_rows = 2;
  config.loop.end_of_turn = {7};
  config.before_window = {1};
  config.after_window = {5, 6};
  config.max_rows = 18;
  config.keep_rows = 8;
  config.max_hypothesis = 7;
  config.n_hypotheses = 2;
  return config;
}

class Definition {
 public:
  explicit Definition(const ReencodedConfig& config) : config_(config) {}

  // Tokens with the unit after which each was committed.
  std::vector<std::pair<int32_t, int64_t>> run(std::span<const float> rows, const Policy& policy) {
    const size_t unit = static_cast<size_t>(config_.loop.unit_rows) * kToyWidth;
    for (int64_t now = 1; (now - 1) * unit < rows.size(); ++now) {
      const size_t end = std::min(rows.size(), now * unit);
      const auto read = static_cast<int64_t>(end / kToyWidth);
      if (read - left_ > config_.max_rows) trim(read);
      const size_t first = static_cast<size_t>(left_) * kToyWidth;
      const auto hypothesis = decode(rows.subspan(first, end - first));
      int64_t agreed = std::ssize(hypothesis);
      for (int back = 1; back < config_.n_hypotheses; ++back) {
        agreed = std::min(agreed, std::ssize(texts_) < back ? 0 : same(hypothesis, back));
      }
      texts_.push_back(text(hypothesis));
      while (std::ssize(since_) > std::ssize(tokens_)) since_.pop_back();
      since_.resize(texts_.back().size(), read);
      if (texts_.size() > 1) {
        const int64_t stayed = std::ssize(tokens_) + same(hypothesis, 2);
        for (int64_t i = std::ssize(tokens_); i < stayed; ++i) since_[i] = last_since_[i];
      }
      last_since_ = since_;
      const bool finished = end == rows.size() && rows.size() % unit != 0;
      commit(hypothesis, agreed, now, finished, policy);
      if (end == rows.size()) commit({text_beyond()}, agreed, now, true, policy);
    }
    return written_;
  }

 private:
  void trim(int64_t read) {
    int64_t boundary = -1;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (since_[i] <= read - config_.keep_rows) boundary = since_[i];
    }
    left_ = boundary > left_ ? boundary : read - config_.keep_rows;
  }

  std::vector<int32_t> decode(std::span<const float> window) {
    ToyDecoder decoder;
    std::vector<float> logits;
    const auto step = [&](std::span<const float> row) {
      const auto view = decoder.step(row);
      logits.assign(view.begin(), view.end());
    };
    const auto enter = [&](int32_t token) {
      std::array<float, kToyWidth> row{};
      decoder.token_embedding(token, row);
      step(row);
    };
    for (const int32_t token : config_.before_window) enter(token);
    for (size_t at = 0; at < window.size(); at += kToyWidth) step(window.subspan(at, kToyWidth));
    for (const int32_t token : config_.after_window) enter(token);
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (since_[i] > left_) enter(tokens_[i]);
    }
    std::vector<int32_t> hypothesis;
    while (std::ssize(hypothesis) < config_.max_hypothesis) {
      const auto token = static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
      if (token == config_.loop.end_of_turn.front()) break;
      hypothesis.push_back(token);
      enter(token);
    }
    return hypothesis;
  }

  // All that was committed, and then the hypothesis.
  std::vector<int32_t> text(const std::vector<int32_t>& hypothesis) const {
    auto all = tokens_;
    all.insert(all.end(), hypothesis.begin(), hypothesis.end());
    return all;
  }

  // Tokens beyond the committed ones that the text `back` units ago shares with the hypothesis.
  int64_t same(const std::vector<int32_t>& hypothesis, int back) const {
    const auto now = text(hypothesis);
    const auto& before = texts_[texts_.size() - back];
    const int64_t n = std::ranges::mismatch(now, before).in1 - now.begin();
    return std::max<int64_t>(0, n - std::ssize(tokens_));
  }

  std::vector<int32_t> text_beyond() const {
    return {texts_.back().begin() + std::ssize(tokens_), texts_.back().end()};
  }

  void commit(const std::vector<int32_t>& hypothesis, int64_t agreed, int64_t now, bool finished,
              const Policy& policy) {
    const auto before = std::ssize(tokens_);
    for (const int32_t token : hypothesis) {
      const int64_t left = std::max<int64_t>(0, agreed - (std::ssize(tokens_) - before));
      if (policy.decide({.agreed = left, .finished = finished}) == Action::kRead) break;
      tokens_.push_back(token);
      written_.emplace_back(token, now);
    }
  }

  const ReencodedConfig& config_;
  int64_t left_ = 0;  // rows
  std::vector<int32_t> tokens_;
  std::vector<int64_t> since_;  // rows read when each came
  std::vector<int64_t> last_since_;
  std::vector<std::vector<int32_t>> texts_;
  std::vector<std::pair<int32_t, int64_t>> written_;
};

TEST_CASE("any cutting commits what the definition says, with the draft as without") {
  size_t n_written = 0;
  int64_t n_verified = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    auto config = speech_config();
    config.n_hypotheses = 1 + static_cast<int>(seed % 3);
    const int n_rows = 61 - static_cast<int>(seed % 2);
    const auto rows = toy_rows(n_rows, seed);
    const Agreement policy;
    const auto expected = Definition(config).run(rows, policy);
    ToyDecoder decoder;
    ReencodedLoop plain(decoder, policy, config);
    config.n_draft = 1 + static_cast<int>(seed % 7);
    ToyDecoder other;
    ReencodedLoop drafted(other, policy, config);
    for (unsigned cut = 0; cut < 2; ++cut) {
      const auto cuts = cut == 0 ? std::vector<int>{n_rows} : toy_cuts(n_rows, seed);
      const auto written = run_stream(plain, rows, cuts);
      CHECK(run_stream(drafted, rows, cuts) == written);
      REQUIRE(written.size() == expected.size());
      for (size_t i = 0; i < written.size(); ++i) {
        CHECK(written[i].token == expected[i].first);
        CHECK(written[i].read == expected[i].second);
      }
    }
    n_written += expected.size();
    n_verified += drafted.draft_counts().verified;
    CHECK(plain.draft_counts().verified == 0);
    CHECK(other.n_batches() <= decoder.n_batches());
  }
  CHECK(n_written > 200);
  CHECK(n_verified > 200);
}

TEST_CASE("what is committed is never taken back, and the rest may change") {
  const Agreement policy;
  ToyDecoder decoder;
  ReencodedLoop loop(decoder, policy, speech_config());
  int64_t n_changed = 0;
  std::vector<int32_t> before;
  for (unsigned i = 0; i < 60; ++i) {
    const auto written = loop.push(toy_rows(2, i));
    // Committed tokens are the front of the hypothesis that was shown with this unit.
    auto shown = tokens_of(written);
    shown.insert(shown.end(), loop.hypothesis().begin(), loop.hypothesis().end());
    CHECK(shown.size() <= 7);
    n_changed += !std::ranges::equal(std::span(before).first(std::min(before.size(), shown.size())),
                                     std::span(shown).first(std::min(before.size(), shown.size())));
    before.assign(loop.hypothesis().begin(), loop.hypothesis().end());
  }
  CHECK(loop.written() > 10);
  CHECK(n_changed > 5);
  CHECK(policy.most_agreed > 0);
}

// A scripted model: for every kRowsOfToken input rows it has heard a token, "a" (3), "." (4) and so
// on, between times from 8 on; it knows where it heard each. Rows of input are marked -1 less how
// far the stream is, so that it hears the same after some have left.
class Narrator final : public Decoder {
 public:
  static constexpr int kRowsOfToken = 2, kFirstTime = 8;

  explicit Narrator(bool knows_places = true) : knows_places_(knows_places) {}
  int n_embd() const override { return 1; }
  int n_vocab() const override { return 16; }
  int n_regions() const override { return 1; }
  int max_proposal() const override { return 64; }
  void token_embedding(int32_t token, std::span<float> out) const override {
    out[0] = static_cast<float>(token);
  }
  std::span<const float> step(std::span<const RegionRows> groups, LogitsOf) override {
    return take(groups);
  }
  std::span<const float> propose(std::span<const RegionRows> groups) override {
    proposed_.push_back(tokens.size());
    return take(groups);
  }
  void keep(int n_rows) override {
    tokens.resize(proposed_.front() + static_cast<size_t>(n_rows));
    proposed_.clear();
  }
  std::span<const float> attention(int) const override { return {}; }
  std::shared_ptr<Decoder> fork() const override { return nullptr; }
  int64_t pos() const override { return std::ssize(heard) + std::ssize(tokens); }
  void reset() override {
    heard.clear();
    tokens.clear();
    proposed_.clear();
  }

  std::span<const int32_t> heard_at(int n) const override {
    if (!knows_places_) return {};
    places_.clear();
    int32_t at = 0;
    for (size_t i = 1; i < tokens.size(); ++i) {
      places_.push_back(at);
      if (tokens[i] < kFirstTime) at += crowded ? 0 : kRowsOfToken;
    }
    places_.push_back(at);
    return std::span<const int32_t>(places_).last(static_cast<size_t>(n) + 1);
  }

  static float row(int at) { return static_cast<float>(-1 - at); }
  static int32_t word(int i) { return i % 3 == 2 ? 4 : 3; }  // every third one ends a sentence

  float rival = 0.F;            // logit of token 5 wherever a token is written; that one has 9
  bool crowded = false;         // everything is heard at once
  std::vector<int> heard;       // places in the stream of the window's rows
  std::vector<int32_t> tokens;  // after_window first

 private:
  std::span<const float> take(std::span<const RegionRows> groups) {
    logits_.clear();
    for (const RegionRows& group : groups) {
      for (const float row : group.embeddings) {
        if (row < 0) {
          heard.push_back(static_cast<int>(-1 - row));
          continue;
        }
        tokens.push_back(static_cast<int32_t>(row));
        logits_.resize(logits_.size() + 16, 0.F);
        logits_[logits_.size() - 16 + 5] = rival;
        logits_[logits_.size() - 16 + static_cast<size_t>(next())] = 9.F;
      }
    }
    return logits_;
  }

  // A time, then the words that were heard, and a time before the end.
  int32_t next() const {
    const auto is_time = [](int32_t token) { return token >= kFirstTime; };
    const auto n_times = std::ranges::count_if(tokens, is_time);
    const int n_words = static_cast<int>(std::ssize(tokens) - 1 - n_times);
    const int first = heard.empty() ? 0 : heard.front() / kRowsOfToken;
    const int n_heard = static_cast<int>(heard.size()) / kRowsOfToken;
    if (n_words < n_heard) {
      const bool sentence = n_words > 0 && tokens.back() == 4;  // a time lies between sentences
      return sentence ? kFirstTime + 1 : word(first + n_words);
    }
    return is_time(tokens.back()) ? 7 : kFirstTime + 2;
  }

  bool knows_places_;
  std::vector<size_t> proposed_;
  mutable std::vector<int32_t> places_;
  std::vector<float> logits_;
};

ReencodedConfig narrated(int keep_rows, int max_rows) {
  ReencodedConfig config;
  config.loop.unit_rows = 4;
  config.loop.end_of_turn = {7};
  config.after_window = {1};
  config.max_rows = max_rows;
  config.keep_rows = keep_rows;
  config.first_time = Narrator::kFirstTime;
  config.sentence_ends = {4};
  return config;
}

std::vector<float> narrated_rows(int first, int n) {
  std::vector<float> rows;
  for (int i = first; i < first + n; ++i) rows.push_back(Narrator::row(i));
  return rows;
}

TEST_CASE("times are heard and are in no hypothesis, with drafts and without") {
  for (const int n_draft : {0, 20}) {
    auto config = narrated(100, 100);
    config.n_draft = n_draft;
    Narrator decoder;
    const Agreement policy;
    ReencodedLoop loop(decoder, policy, config);
    std::vector<int32_t> written;
    bool heard_times = false;
    for (int i = 0; i < 6; ++i) {
      for (const Written& one : loop.push(narrated_rows(4 * i, 4))) written.push_back(one.token);
      for (const int32_t token : loop.hypothesis()) CHECK(token < Narrator::kFirstTime);
      CHECK(std::ssize(written) + std::ssize(loop.hypothesis()) == 2 * (i + 1));
      CHECK(std::ssize(written) == 2 * i);  // what the last hypothesis had, too
      heard_times |= std::ranges::any_of(decoder.tokens, [](int32_t t) { return t == 9; });
    }
    CHECK(heard_times);
    for (const Written& one : loop.finish()) written.push_back(one.token);
    REQUIRE(written.size() == 12);
    for (int i = 0; i < 12; ++i) CHECK(written[i] == Narrator::word(i));
    CHECK((loop.draft_counts().verified > 0) == (n_draft > 0));
  }
}

TEST_CASE("places are those of the tokens just written, of the hypothesis, and of what follows") {
  Narrator decoder;
  const Agreement policy;
  ReencodedLoop loop(decoder, policy, narrated(100, 100));
  const auto places = [&] { return std::vector(loop.places().begin(), loop.places().end()); };
  loop.push(narrated_rows(0, 4));
  CHECK(places() == std::vector<int32_t>{0, 2, 4});
  CHECK(loop.push(narrated_rows(4, 4)).size() == 2);
  CHECK(places() == std::vector<int32_t>{0, 2, 4, 6, 8});
  CHECK(loop.push(narrated_rows(8, 4)).size() == 2);
  CHECK(places() == std::vector<int32_t>{4, 6, 8, 10, 12});  // the first two were written before
  CHECK(loop.finish().size() == 2);
  CHECK(places() == std::vector<int32_t>{8, 10, 12});
  Narrator unknowing(false);
  ReencodedLoop without(unknowing, policy, narrated(100, 100));
  without.push(narrated_rows(0, 4));
  CHECK(without.places().empty());
}

TEST_CASE("a hypothesis ends where more is heard at once than anybody says") {
  for (const bool crowded : {false, true}) {
    auto config = narrated(100, 100);
    config.crowd_tokens = 3;
    config.crowd_rows = 6;
    Narrator decoder;
    decoder.crowded = crowded;
    const Agreement policy;
    ReencodedLoop loop(decoder, policy, config);
    loop.push(narrated_rows(0, 16));
    std::vector<int32_t> written;
    for (const Written& one : loop.finish()) written.push_back(one.token);
    CHECK(written.size() == (crowded ? 0 : 2));  // beyond what two hypotheses had agreed on
    CHECK(loop.written() == (crowded ? 0 : 8));
    CHECK(loop.places().size() == written.size() + 1);
  }
}

TEST_CASE("a token of the last hypothesis stays unless another is clearly likelier") {
  for (const float loyalty : {0.F, 0.3F, 0.5F}) {
    auto config = narrated(100, 100);
    config.max_hypothesis = 8;
    config.loyalty = loyalty;
    Narrator decoder;
    const WaitK never(1000);
    ReencodedLoop loop(decoder, never, config);
    loop.push(narrated_rows(0, 4));
    CHECK(loop.hypothesis()[0] == Narrator::word(0));
    decoder.rival = 9.4F;
    loop.push(narrated_rows(4, 4));
    const int32_t rival = 5;
    CHECK(loop.hypothesis()[0] == (loyalty < 0.4F ? rival : Narrator::word(0)));
    CHECK(loop.hypothesis()[1] == (loyalty < 0.4F ? rival : Narrator::word(1)));
    CHECK(loop.hypothesis()[2] == rival);  // the last hypothesis was no longer
  }
}

TEST_CASE("sentences that were committed leave a long window, rows and tokens") {
  Narrator decoder;
  const Agreement policy;
  ReencodedLoop loop(decoder, policy, narrated(12, 100));
  std::vector<int32_t> written;
  int64_t longest = 0;
  for (int i = 0; i < 30; ++i) {
    for (const Written& one : loop.push(narrated_rows(4 * i, 4))) written.push_back(one.token);
    CHECK(loop.n_left() % 6 == 0);  // a sentence has three tokens of two rows
    CHECK(decoder.heard.front() == loop.n_left());
    longest = std::max(longest, static_cast<int64_t>(decoder.heard.size()));
  }
  CHECK(loop.n_left() > 90);
  CHECK(longest <= 12 + 4 + 6);
  for (const Written& one : loop.finish()) written.push_back(one.token);
  REQUIRE(written.size() == 60);  // none twice, none lost
  for (int i = 0; i < 60; ++i) CHECK(written[i] == Narrator::word(i));

  Narrator unknowing(false);  // no places: only what does not fit leaves
  ReencodedLoop without(unknowing, policy, narrated(12, 24));
  for (int i = 0; i < 6; ++i) without.push(narrated_rows(4 * i, 4));
  CHECK(without.n_left() == 0);
  without.push(narrated_rows(24, 4));
  CHECK(without.n_left() > 0);
}

TEST_CASE("units of any length are heard whole, and units of the usual one are as pushed rows") {
  const Agreement policy;
  const auto of_rows = [](int n) { return std::vector<int>{n}; };
  for (unsigned seed = 0; seed < 10; ++seed) {
    const auto config = speech_config();
    const auto rows = toy_rows(60, seed);
    ToyDecoder decoder;
    ToyDecoder other;
    ReencodedLoop pushed(decoder, policy, config);
    ReencodedLoop by_unit(other, policy, config);
    std::vector<Written> expected = run_stream(pushed, rows, std::vector<int>{60});
    std::vector<Written> found;
    const auto add = [&found](std::span<const Written> some) {
      found.insert(found.end(), some.begin(), some.end());
    };
    for (int at = 0; at < 60; at += 2) {
      add(by_unit.push_unit(std::span(rows).subspan(at * kToyWidth, 2 * kToyWidth), of_rows(2)));
    }
    add(by_unit.finish());
    CHECK(found == expected);
  }
  Narrator decoder;
  ReencodedLoop loop(decoder, policy, narrated(100, 100));
  int at = 0;
  for (const int n : {1, 7, 2, 12, 3, 5}) {
    loop.push_unit(narrated_rows(at, n), of_rows(n));
    at += n;
    CHECK(std::ssize(decoder.heard) == at);
    CHECK(loop.written() + std::ssize(loop.hypothesis()) == at / 2);
  }
  loop.finish();
  CHECK(loop.written() == at / 2);
}

TEST_CASE("the cost of a unit stays bounded") {
  const EagerPolicy policy;  // commits all at once, so that the committed part is as long as can be
  ToyDecoder decoder;
  auto config = speech_config();
  ReencodedLoop loop(decoder, policy, config);
  int64_t longest = 0;
  for (unsigned i = 0; i < 300; ++i) {
    loop.push(toy_rows(2, i));
    longest = std::max(longest, decoder.pos());
  }
  CHECK(loop.written() > 300);
  const int64_t input_rows = 3 + config.max_rows;
  CHECK(longest <= input_rows + config.max_rows / config.loop.unit_rows * config.max_hypothesis);
}

TEST_CASE("numbers out of range and samplers that are not greedy are refused") {
  ToyDecoder decoder;
  const WaitK policy(0);
  const auto refuses = [&](auto change) {
    auto config = speech_config();
    change(config);
    CHECK_THROWS_AS(ReencodedLoop(decoder, policy, config), std::invalid_argument);
  };
  refuses([](auto& c) { c.max_rows = 0; });
  refuses([](auto& c) { c.keep_rows = 0; });
  refuses([](auto& c) { c.keep_rows = c.max_rows + 1; });
  refuses([](auto& c) { c.max_hypothesis = 0; });
  refuses([](auto& c) { c.n_hypotheses = 0; });
  refuses([](auto& c) { c.n_draft = -1; });
  refuses([](auto& c) { c.lag_rows = -1; });
  refuses([](auto& c) { c.crowd_tokens = 0; });
  refuses([](auto& c) { c.loyalty = -0.1F; });
  refuses([](auto& c) { c.sentence_ends = {kToyVocab}; });
  refuses([](auto& c) { c.before_window = {kToyVocab}; });
  refuses([](auto& c) { c.after_window = {-1}; });
  refuses([](auto& c) { c.loop.sampler.temperature = 1.F; });
  refuses([](auto& c) { c.loop.sampler.repetition_penalty = 1.1F; });
}

}  // namespace
}  // namespace edgestream
