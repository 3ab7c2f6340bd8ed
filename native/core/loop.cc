// SPDX-License-Identifier: Apache-2.0
#include "core/loop.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

void require_token(int32_t token, int32_t limit, const char* name) {
  if (token >= 0 && token < limit) return;
  throw std::invalid_argument(std::string("loop: token ") + name + " is " + std::to_string(token) +
                              ", the model has tokens 0 to " + std::to_string(limit - 1));
}

}  // namespace

ConcatenatedLoop::ConcatenatedLoop(Decoder& decoder, const Policy& policy, SpecialTokens special,
                                   int32_t delay_frames, float pad_bias, int32_t deferrals)
    : policy_(policy),
      special_(special),
      pad_bias_(pad_bias),
      width_(static_cast<size_t>(decoder.n_embd())),
      rungs_{&decoder},
      row_(width_) {
  if (special.n_text < 1 || special.n_text > decoder.n_vocab()) {
    throw std::invalid_argument("loop: n_text is " + std::to_string(special.n_text) +
                                ", the model has " + std::to_string(decoder.n_vocab()) + " tokens");
  }
  require_token(special.pad, special.n_text, "pad");
  require_token(special.bos, decoder.n_vocab(), "bos");
  require_token(special.delay_0, decoder.n_vocab(), "delay_0");
  require_token(delay_frames, decoder.n_vocab() - special.delay_0, "delay");
  require_token(deferrals, decoder.n_vocab() - special.delay_0 - delay_frames, "deferrals");
  for (int32_t rung = 0; rung <= deferrals; ++rung) {
    if (rung > 0) rungs_.push_back(forks_.emplace_back(decoder.fork()).get());
    delay_rows_.emplace_back(width_);
    decoder.token_embedding(special.delay_0 + delay_frames + rung, delay_rows_.back());
  }
  slots_.resize(rungs_.size() + 1);
}

void ConcatenatedLoop::Counts::add(bool token) {
  written += token ? 1 : 0;
  turn = token ? turn + 1 : 0;
  since_write = token ? 0 : since_write + 1;
}

void ConcatenatedLoop::prompt() {
  for (size_t rung = 0; rung < rungs_.size(); ++rung) {
    rungs_[rung]->reset();
    rungs_[rung]->token_embedding(special_.bos, row_);
    rungs_[rung]->step(row_);
    rungs_[rung]->step(delay_rows_[rung]);
  }
}

ConcatenatedLoop::Proposal ConcatenatedLoop::propose(std::span<const float> logits) const {
  const auto pad = static_cast<size_t>(special_.pad);
  const auto n_text = static_cast<size_t>(special_.n_text);
  const auto score = [&](size_t i) { return i == pad ? logits[i] - pad_bias_ : logits[i]; };
  size_t best = 0;
  float second = -std::numeric_limits<float>::infinity();
  for (size_t i = 1; i < n_text; ++i) {
    if (score(i) > score(best)) {
      second = score(best);
      best = i;
    } else {
      second = std::max(second, score(i));
    }
  }
  const double top = score(best);
  double sum = 0;
  double weighted = 0;
  for (size_t i = 0; i < n_text; ++i) {
    const double below = static_cast<double>(score(i)) - top;
    const double e = std::exp(below);
    sum += e;
    weighted += e * below;
  }
  return {.token = static_cast<int32_t>(best),
          .probability = static_cast<float>(1.0 / sum),
          .margin = static_cast<float>((1.0 - std::exp(second - top)) / sum),
          .silence = static_cast<float>(std::exp(score(pad) - top) / sum),
          .entropy = static_cast<float>(std::log(sum) - weighted / sum)};
}

Observation ConcatenatedLoop::observe(int64_t i, int64_t rung, const Proposal& proposal) const {
  Counts before = counts_;
  for (int64_t earlier = n_slots_; earlier < i; ++earlier) {
    before.add(slot(earlier).token != special_.pad);
  }
  return {.read = read_,
          .written = before.written,
          .held = held_ + rung,
          .turn = before.turn,
          .since_write = before.since_write + 1,
          .finished = finished_,
          .writing = before.turn > 0,
          .probability = proposal.probability,
          .margin = proposal.margin,
          .silence = proposal.silence,
          .entropy = proposal.entropy};
}

// The proposal of one rung for the slot that is `rung` steps back.
void ConcatenatedLoop::consult(int64_t rung, std::span<const float> row) {
  const int64_t i = read_ - 1 - rung;
  Decoder& decoder = *rungs_[static_cast<size_t>(rung)];
  const std::vector<float>& delay_row = delay_rows_[static_cast<size_t>(rung)];
  decoder.token_embedding(i > 0 ? slot(i - 1).token : special_.pad, row_);
  for (size_t d = 0; d < width_; ++d) row_[d] += row[d] + delay_row[d];
  const std::span<const float> logits = decoder.step(row_);
  if (i < 0 || (rung > 0 && slot(i).decided)) return;
  const Proposal proposal = propose(logits);
  const bool last = rung + 1 == static_cast<int64_t>(rungs_.size());
  if (last && proposal.token == special_.pad) {
    slot(i) = {special_.pad, proposal.probability, true};
    held_ = 0;
    return;
  }
  const bool write = policy_.decide(observe(i, rung, proposal)) == Action::kWrite;
  slot(i) = {write || !last ? proposal.token : special_.pad, proposal.probability, write || last};
  if (write || last) held_ = write ? 0 : held_ + 1;
}

// The slowest rung first: it may decide the token that the next one reads as the last.
void ConcatenatedLoop::take(std::span<const float> row) {
  if (read_ == 0) prompt();
  ++read_;
  for (auto rung = static_cast<int64_t>(rungs_.size()) - 1; rung >= 0; --rung) consult(rung, row);
}

size_t ConcatenatedLoop::push(std::span<const float> rows, std::span<int32_t> tokens,
                              std::span<float> probabilities, std::span<int32_t> waited) {
  const size_t n_rows = rows.size() / width_;
  const size_t room = n_rows + static_cast<size_t>(undecided());
  if (rows.size() != n_rows * width_ || tokens.size() != room || probabilities.size() != room ||
      (!waited.empty() && waited.size() != room)) {
    throw std::invalid_argument("loop: got " + std::to_string(rows.size()) +
                                " values of rows of width " + std::to_string(width_) +
                                " and room for " + std::to_string(tokens.size()) + " tokens");
  }
  size_t n_written = 0;
  for (size_t t = 0; t < n_rows; ++t) {
    take(rows.subspan(t * width_, width_));
    for (; n_slots_ < read_ && slot(n_slots_).decided; ++n_slots_, ++n_written) {
      tokens[n_written] = slot(n_slots_).token;
      probabilities[n_written] = slot(n_slots_).probability;
      if (!waited.empty()) waited[n_written] = static_cast<int32_t>(read_ - 1 - n_slots_);
      counts_.add(tokens[n_written] != special_.pad);
    }
  }
  return n_written;
}

void ConcatenatedLoop::reset() {
  counts_ = {};
  read_ = n_slots_ = held_ = 0;
  finished_ = false;
}

}  // namespace edgestream
