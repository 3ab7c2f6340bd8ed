// SPDX-License-Identifier: Apache-2.0
#include "core/loop/loop.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace edgestream {
namespace {

void require(bool in_range, const char* name, int64_t value, const std::string& range) {
  if (in_range) return;
  throw std::invalid_argument(std::string("loop: ") + name + " is " + std::to_string(value) +
                              ", must be " + range);
}

LoopConfig checked(LoopConfig c, const Decoder& decoder) {
  const int n_vocab = decoder.n_vocab();
  require(c.unit_rows >= 1 && c.unit_rows <= 1 << 16, "unit_rows", c.unit_rows, "1 to 65536");
  require(c.max_tokens_per_unit >= 1, "max_tokens_per_unit", c.max_tokens_per_unit, ">= 1");
  require(c.max_tokens_at_end >= 0, "max_tokens_at_end", c.max_tokens_at_end, ">= 0");
  require(c.n_text >= 0 && c.n_text <= n_vocab, "n_text", c.n_text,
          "0 (all) to " + std::to_string(n_vocab));
  if (c.n_text == 0) c.n_text = n_vocab;
  require(c.silence >= -1 && c.silence < c.n_text, "silence", c.silence,
          "a token below " + std::to_string(c.n_text) + ", or -1 (none)");
  if (!(c.silence_bias > -1e9F && c.silence_bias < 1e9F)) {
    throw std::invalid_argument("loop: silence_bias is not a finite number");
  }
  if (!c.begins_word.empty() && std::cmp_not_equal(c.begins_word.size(), n_vocab)) {
    require(false, "begins_word: its length", static_cast<int64_t>(c.begins_word.size()),
            "0 or " + std::to_string(n_vocab) + ", one for each token");
  }
  if (c.overrule_silence && (c.silence < 0 || c.n_text < 2)) {
    throw std::invalid_argument("loop: overrule_silence needs a silence token and another one");
  }
  return c;
}

}  // namespace

Loop::Loop(Decoder& decoder, const Policy& policy, LoopConfig config)
    : decoder_(decoder),
      loop_config_(checked(std::move(config), decoder)),
      width_(static_cast<size_t>(decoder.n_embd())),
      policy_(policy),
      sampler_(loop_config_.sampler, loop_config_.n_text),
      scores_(loop_config_.n_text),
      row_(width_) {
  require_tokens(loop_config_.end_of_turn, "end_of_turn");
  unit_.reserve(loop_config_.unit_rows * width_);
  unit_tokens_.reserve(loop_config_.unit_rows);
}

void Loop::require_tokens(std::span<const int32_t> tokens, const char* name) const {
  for (const int32_t token : tokens) {
    if (token >= 0 && token < decoder_.n_vocab()) continue;
    require(false, name, token, "a token from 0 to " + std::to_string(decoder_.n_vocab() - 1));
  }
}

// Runs a call of the stream and returns what was written meanwhile.
template <typename Act>
std::span<const Written> Loop::written_by(Act act) {
  state_.run([&] {
    out_.clear();
    act();
  });
  return out_;
}

std::span<const Written> Loop::push(std::span<const float> rows) {
  if (rows.size() % width_ != 0) {
    throw std::invalid_argument("loop: got " + std::to_string(rows.size()) +
                                " numbers, takes rows of " + std::to_string(width_));
  }
  return written_by([&] {
    for (; !rows.empty(); rows = rows.subspan(width_)) append(rows.first(width_), -1);
  });
}

std::span<const Written> Loop::push_tokens(std::span<const int32_t> tokens) {
  require_tokens(tokens, "an input token");
  return written_by([&] {
    for (const int32_t token : tokens) {
      decoder_.token_embedding(token, row_);
      append(row_, token);
    }
  });
}

std::span<const Written> Loop::push_unit(std::span<const float> rows,
                                         std::span<const int32_t> axes) {
  if (rows.empty() || rows.size() % width_ != 0) {
    throw std::invalid_argument("loop: got a unit of " + std::to_string(rows.size()) +
                                " numbers, takes rows of " + std::to_string(width_));
  }
  if (waits()) {
    throw std::invalid_argument("loop: " + std::to_string(unit_tokens_.size()) +
                                " rows wait for their unit; push its rest first");
  }
  return written_by([&] {
    unit_.clear();
    unit_tokens_.assign(rows.size() / width_, -1);
    take_unit({rows, unit_tokens_, axes});
    unit_tokens_.clear();
  });
}

// Rows short of a unit; those of one that was read stay until the next row comes.
bool Loop::waits() const {
  return !unit_tokens_.empty() && std::cmp_less(unit_tokens_.size(), loop_config_.unit_rows);
}

void Loop::append(std::span<const float> row, int32_t token) {
  if (std::cmp_equal(unit_tokens_.size(), loop_config_.unit_rows)) {  // that one was read
    unit_.clear();
    unit_tokens_.clear();
  }
  unit_.insert(unit_.end(), row.begin(), row.end());
  unit_tokens_.push_back(token);
  if (std::cmp_equal(unit_tokens_.size(), loop_config_.unit_rows)) {
    take_unit({unit_, unit_tokens_, {}});
  }
}

void Loop::end_input() {
  state_.require_ready();
  input_ended_ = true;
}

std::span<const Written> Loop::finish() {
  end_input();
  return written_by([&] {
    if (waits()) take_unit({unit_, unit_tokens_, {}});
    unit_.clear();
    unit_tokens_.clear();
    if (read_ > 0) write_rest();
  });
}

void Loop::reset() {
  sampler_.reset();
  unit_.clear();
  unit_tokens_.clear();
  counts_ = {};
  read_ = 0;
  begun_ = false;
  outside_ = std::numeric_limits<float>::quiet_NaN();
  input_ended_ = false;
  state_.reset();
}

void Loop::follow(const Loop& other) {
  if (other.state_.failed()) {
    throw std::runtime_error("loop: the one to follow failed; reset that stream");
  }
  reset();
  read_ = other.read_;
  begun_ = other.begun_;
  counts_ = other.counts_;
}

void Loop::go_on() {
  reset();
  begun_ = true;
}

void Loop::take_unit(const InputUnit& unit) {
  unit_came_ = std::chrono::steady_clock::now();
  if (!begun_) start();
  begun_ = true;
  read_unit(unit);
  ++read_;
  read_ms_ = unit_age_ms();
  write_unit();
}

double Loop::unit_age_ms() const {
  const std::chrono::duration<double, std::milli> age =
      std::chrono::steady_clock::now() - unit_came_;
  return age.count();
}

void Loop::write(int32_t token, float probability) {
  out_.push_back({token, probability, read_});
  sampler_.accept(token);
  const bool counts = begins_word(token);
  counts_ = {.written = counts_.written + (counts || counts_.written == 0 ? 1 : 0),
             .held = 0,
             .turn = counts_.turn + (counts || counts_.turn == 0 ? 1 : 0),
             .since_write = 0};
}

bool Loop::approves(const Proposal& proposal, const Counts& counts) const {
  const Observation seen{.read = read_,
                         .written = counts.written,
                         .held = counts.held,
                         .turn = counts.turn,
                         .since_write = counts.since_write,
                         .agreed = proposal.agreed,
                         .attended_lag = proposal.attended_lag,
                         .finished = input_ended_,
                         .writing = counts.turn > 0,
                         .probability = proposal.probability,
                         .margin = proposal.margin,
                         .silence = proposal.silence,
                         .entropy = proposal.entropy,
                         .outside = outside_};
  return policy_.decide(seen) == Action::kWrite;
}

Proposal Loop::choose(std::span<const float> logits) {
  std::ranges::copy(logits.first(scores_.size()), scores_.begin());
  if (loop_config_.silence >= 0) scores_[loop_config_.silence] -= loop_config_.silence_bias;
  const Distribution distribution(scores_);
  Proposal proposal{.margin = distribution.margin(), .entropy = distribution.entropy()};
  if (loop_config_.silence >= 0)
    proposal.silence = distribution.probability(scores_[loop_config_.silence]);
  if (loop_config_.overrule_silence)
    scores_[loop_config_.silence] = -std::numeric_limits<float>::infinity();
  proposal.token = sampler_.choose(scores_);  // changes scores
  const float bias = proposal.token == loop_config_.silence ? loop_config_.silence_bias : 0.F;
  proposal.probability = distribution.probability(logits[proposal.token] - bias);
  return proposal;
}

}  // namespace edgestream
