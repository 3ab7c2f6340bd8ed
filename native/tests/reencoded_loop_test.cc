// SPDX-License-Identifier: Apache-2.0
// The re-encoded loop against its own definition: decoded from nothing, no drafts.
#include "core/reencoded_loop.h"

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
      if ((now - left_) * config_.loop.unit_rows > config_.max_rows) trim(now);
      const auto hypothesis = decode(rows.subspan(left_ * unit, end - left_ * unit));
      int64_t agreed = std::ssize(hypothesis);
      for (int back = 1; back < config_.n_hypotheses; ++back) {
        agreed = std::min(agreed, std::ssize(texts_) < back ? 0 : same(hypothesis, back));
      }
      texts_.push_back(text(hypothesis));
      while (std::ssize(since_) > std::ssize(tokens_)) since_.pop_back();
      since_.resize(texts_.back().size(), now);
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
  int64_t keep_units() const { return config_.keep_rows / config_.loop.unit_rows; }

  void trim(int64_t now) {
    int64_t boundary = -1;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (since_[i] <= now - keep_units()) boundary = since_[i];
    }
    left_ = boundary > left_ ? boundary : now - keep_units();
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
  int64_t left_ = 0;
  std::vector<int32_t> tokens_;
  std::vector<int64_t> since_;
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

// A scripted model that writes times: a segment of two tokens and its end, place 1 + how many units
// of the window it has heard, as a token from 8 on.
class Narrator final : public Decoder {
 public:
  int n_embd() const override { return 1; }
  int n_vocab() const override { return 16; }
  int n_regions() const override { return 1; }
  int max_proposal() const override { return 16; }
  void token_embedding(int32_t token, std::span<float> out) const override {
    out[0] = static_cast<float>(token);
  }
  std::span<const float> step(std::span<const RegionRows> groups, LogitsOf) override {
    return take(groups);
  }
  std::span<const float> propose(std::span<const RegionRows> groups) override {
    return take(groups);
  }
  void keep(int) override {}
  std::span<const float> attention(int) const override { return {}; }
  std::unique_ptr<Decoder> fork() const override { return nullptr; }
  int64_t pos() const override { return n_heard + std::ssize(tokens); }
  void reset() override {
    n_heard = n_written_ = 0;
    tokens.clear();
  }

  int n_heard = 0;  // input rows, marked -1
  std::vector<int32_t> tokens;

 private:
  std::span<const float> take(std::span<const RegionRows> groups) {
    for (const RegionRows& group : groups) {
      for (const float row : group.embeddings) {
        if (row < 0) {
          ++n_heard;
        } else {
          tokens.push_back(static_cast<int32_t>(row));
        }
      }
    }
    n_written_ = static_cast<int>(tokens.size()) - 1;  // the first one is after_window
    logits_.assign(16, 0.F);
    const int32_t end_place = 8 + std::min(2, n_heard / 4);
    const int32_t next = n_written_ < 2 ? 3 + n_written_ : n_written_ == 2 ? end_place : 7;
    logits_[next] = 9.F;
    return logits_;
  }

  int n_written_ = 0;
  std::vector<float> logits_;
};

TEST_CASE("rows before a committed end of a segment leave, and with them its tokens") {
  ReencodedConfig config;
  config.loop.unit_rows = 4;
  config.loop.end_of_turn = {7};
  config.after_window = {1};
  config.max_rows = 36;
  config.keep_rows = 8;
  config.first_time = 8;
  config.time_rows = 2;
  Narrator decoder;
  const Agreement policy;
  ReencodedLoop loop(decoder, policy, config);
  const std::vector<float> unit(4, -1.F);
  std::vector<int32_t> written;
  for (int i = 0; i < 4; ++i) {
    for (const Written& one : loop.push(unit)) written.push_back(one.token);
  }
  // Heard whole from the third unit on; committed then, gone (2 places of 2 rows) with the fourth.
  CHECK(written == std::vector<int32_t>{3, 4, 10});
  CHECK(loop.n_left() == 4);
  CHECK(decoder.n_heard == 12);  // 16 rows were read
  // What is written next was begun without the segment's tokens.
  for (int i = 0; i < 2; ++i) {
    for (const Written& one : loop.push(unit)) written.push_back(one.token);
  }
  CHECK(written == std::vector<int32_t>{3, 4, 10, 3, 4, 10});
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
  refuses([](auto& c) { c.before_window = {kToyVocab}; });
  refuses([](auto& c) { c.after_window = {-1}; });
  refuses([](auto& c) { c.loop.sampler.temperature = 1.F; });
  refuses([](auto& c) { c.loop.sampler.repetition_penalty = 1.1F; });
}

}  // namespace
}  // namespace edgestream
