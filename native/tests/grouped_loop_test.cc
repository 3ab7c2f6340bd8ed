// SPDX-License-Identifier: Apache-2.0
// The grouped loop against its own definition: one row at a time, nothing proposed.
#include "core/loop/grouped_loop.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "toy_stream.h"

namespace edgestream {
namespace {

GroupedConfig grouped_config(int unit_rows) {
  GroupedConfig config;
  config.loop.unit_rows = unit_rows;
  config.loop.max_tokens_per_unit = 4;
  config.loop.max_tokens_at_end = 10;
  config.loop.silence = 2;
  config.loop.end_of_turn = {7};
  config.input_prompt = {1, 4};
  config.output_prompt = {5, 6};
  config.after_turn = {8};
  return config;
}

// An output row enters for good just before a token is written behind it; until then each proposal
// computes it anew over all input that is there.
class Definition {
 public:
  Definition(const GroupedConfig& config, const Policy& policy)
      : config_(config), policy_(policy), newest_(config.output_prompt) {
    for (const int32_t token : config.input_prompt) enter(decoder_, 0, embedding(token));
  }

  std::vector<Written> run(std::span<const float> rows) {
    const size_t unit = static_cast<size_t>(config_.loop.unit_rows) * kToyWidth;
    while (!rows.empty()) {
      finished_ = rows.size() < unit;
      const auto now = rows.first(std::min(unit, rows.size()));
      for (size_t at = 0; at < now.size(); at += kToyWidth) {
        enter(decoder_, 0, now.subspan(at, kToyWidth));
      }
      ++read_;
      turn(config_.loop.max_tokens_per_unit);
      rows = rows.subspan(now.size());
    }
    finished_ = true;
    if (goes_on_) turn(config_.loop.max_tokens_at_end);
    return written_;
  }

 private:
  static std::vector<float> embedding(int32_t token) {
    std::vector<float> row(kToyWidth);
    ToyDecoder().token_embedding(token, row);
    return row;
  }

  static std::vector<float> enter(Decoder& decoder, int region, std::span<const float> row) {
    const RegionRows rows{region, row};
    const auto logits = decoder.step({&rows, 1}, LogitsOf::kLastRow);
    return {logits.begin(), logits.end()};
  }

  std::vector<float> enter_newest(Decoder& decoder) const {
    std::vector<float> logits;
    for (const int32_t token : newest_) logits = enter(decoder, 1, embedding(token));
    return logits;
  }

  void turn(int limit) {
    goes_on_ = true;
    for (int n = 0; n < limit; ++n) {
      const auto logits = enter_newest(*decoder_.fork());
      const auto token = static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
      const Distribution distribution(logits);
      const float probability = distribution.probability(logits[token]);
      const bool ended = token == config_.loop.end_of_turn.front();
      goes_on_ = !ended && token != config_.loop.silence;
      if (ended) {
        enter_newest(decoder_);
        newest_ = {token, config_.after_turn.front()};
      }
      const auto n_written = static_cast<int64_t>(written_.size());
      if (!goes_on_ || policy_.decide({.read = read_,
                                       .written = n_written,
                                       .finished = finished_,
                                       .probability = probability,
                                       .entropy = distribution.entropy()}) == Action::kRead) {
        return;
      }
      written_.push_back({token, probability, read_});
      enter_newest(decoder_);
      newest_ = {token};
    }
  }

  const GroupedConfig& config_;
  const Policy& policy_;
  ToyDecoder decoder_{2};
  std::vector<int32_t> newest_;
  std::vector<Written> written_;
  int64_t read_ = 0;
  bool goes_on_ = false;
  bool finished_ = false;
};

TEST_CASE("any cutting writes what the definition says, with and without drafts") {
  const MoodyPolicy policy;
  size_t n_written = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    // 11 rows are more than the decoder computes at once.
    const int unit_rows = std::array{1, 3, 11}[seed % 3];
    const auto config = grouped_config(unit_rows);
    const int n_rows = 25 * unit_rows + static_cast<int>(seed % unit_rows);
    const auto rows = toy_rows(n_rows, seed);
    const auto expected = Definition(config, policy).run(rows);
    n_written += expected.size();
    check_cuttings<GroupedLoop>(config, policy, 2, rows, expected, seed);
  }
  CHECK(n_written > 300);
}

TEST_CASE("reading and writing are one batch when both happen") {
  const EagerPolicy policy;
  GroupedConfig config;
  config.loop.max_tokens_per_unit = 1;
  config.loop.max_tokens_at_end = 0;
  config.output_prompt = {5};
  ToyDecoder decoder(2);
  GroupedLoop loop(decoder, policy, config);
  CHECK(run_stream(loop, toy_rows(20, 1), std::vector<int>{20}).size() == 20);
  // The first unit goes with the prompt, each later one with the token written before it.
  CHECK(decoder.n_batches() == 20);
}

// Computes the lag from the decoder's attention: two rows of prompt, then units of three rows.
class AttentionWitness final : public Policy {
 public:
  explicit AttentionWitness(const ToyDecoder& decoder) : decoder_(decoder) {}
  Action decide(const Observation& seen) const override {
    const auto units = decoder_.attention(0).subspan(2);
    const auto most = std::ranges::max_element(units) - units.begin();
    CHECK(seen.attended_lag == (std::ssize(units) - 1 - most) / 3);
    greatest_lag = std::max(greatest_lag, seen.attended_lag);
    return seen.attended_lag > 1 || seen.finished ? Action::kWrite : Action::kRead;
  }
  mutable int64_t greatest_lag = -1;

 private:
  const ToyDecoder& decoder_;
};

TEST_CASE("attention names the unit that is looked at") {
  ToyDecoder decoder(2);
  decoder.capture_attention();
  const AttentionWitness policy(decoder);
  GroupedLoop loop(decoder, policy, grouped_config(3));
  CHECK(run_stream(loop, toy_rows(90, 2), std::vector<int>{90}).size() > 5);
  CHECK(policy.greatest_lag > 1);
}

TEST_CASE("decoders and prompts that do not fit are refused") {
  const WaitK policy(0);
  const auto refuses = [&](Decoder& decoder, auto change) {
    auto config = grouped_config(1);
    change(config);
    CHECK_THROWS_AS(GroupedLoop(decoder, policy, config), std::invalid_argument);
  };
  ToyDecoder one_region(1);
  refuses(one_region, [](auto&) {});
  ToyDecoder decoder(2, 4);
  CHECK_NOTHROW(GroupedLoop(decoder, policy, grouped_config(1)));
  refuses(decoder, [](auto& c) { c.output_prompt = {}; });
  refuses(decoder, [](auto& c) { c.output_prompt = {1, 2, 3, 4}; });
  refuses(decoder, [](auto& c) { c.after_turn = {1, 2, 3}; });
  refuses(decoder, [](auto& c) { c.input_prompt = {kToyVocab}; });
  refuses(decoder, [](auto& c) { c.output_prompt = {-1}; });
  refuses(decoder, [](auto& c) { c.n_draft = -1; });
}

}  // namespace
}  // namespace edgestream
