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
                                   int32_t delay_frames, float pad_bias)
    : decoder_(decoder),
      policy_(policy),
      special_(special),
      pad_bias_(pad_bias),
      width_(static_cast<size_t>(decoder.n_embd())),
      delay_row_(width_),
      row_(width_),
      previous_(special.pad) {
  if (special.n_text < 1 || special.n_text > decoder.n_vocab()) {
    throw std::invalid_argument("loop: n_text is " + std::to_string(special.n_text) +
                                ", the model has " + std::to_string(decoder.n_vocab()) + " tokens");
  }
  require_token(special.pad, special.n_text, "pad");
  require_token(special.bos, decoder.n_vocab(), "bos");
  require_token(special.delay_0, decoder.n_vocab(), "delay_0");
  require_token(delay_frames, decoder.n_vocab() - special.delay_0, "delay");
  decoder_.token_embedding(special.delay_0 + delay_frames, delay_row_);
}

void ConcatenatedLoop::prompt() {
  decoder_.reset();
  decoder_.token_embedding(special_.bos, row_);
  decoder_.step(row_);
  decoder_.step(delay_row_);
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

bool ConcatenatedLoop::writes(const Proposal& proposal) {
  if (proposal.token == special_.pad) {
    held_ = 0;
    return false;
  }
  const Observation seen{.read = read_,
                         .written = written_,
                         .held = held_,
                         .turn = turn_,
                         .since_write = since_write_,
                         .finished = finished_,
                         .writing = turn_ > 0,
                         .probability = proposal.probability,
                         .margin = proposal.margin,
                         .silence = proposal.silence,
                         .entropy = proposal.entropy};
  const bool write = policy_.decide(seen) == Action::kWrite;
  held_ = write ? 0 : held_ + 1;
  return write;
}

void ConcatenatedLoop::push(std::span<const float> rows, std::span<int32_t> tokens,
                            std::span<float> probabilities) {
  if (rows.size() != tokens.size() * width_ || probabilities.size() != tokens.size()) {
    throw std::invalid_argument("loop: got " + std::to_string(rows.size()) + " values for " +
                                std::to_string(tokens.size()) + " steps of width " +
                                std::to_string(width_));
  }
  for (size_t t = 0; t < tokens.size(); ++t) {
    if (read_ == 0) prompt();
    decoder_.token_embedding(previous_, row_);
    for (size_t i = 0; i < width_; ++i) row_[i] += rows[t * width_ + i] + delay_row_[i];
    const Proposal proposal = propose(decoder_.step(row_));
    ++read_;
    ++since_write_;
    const bool write = writes(proposal);
    turn_ = write ? turn_ + 1 : 0;
    if (write) {
      ++written_;
      since_write_ = 0;
    }
    previous_ = write ? proposal.token : special_.pad;
    tokens[t] = previous_;
    probabilities[t] = proposal.probability;
  }
}

void ConcatenatedLoop::reset() {
  previous_ = special_.pad;
  read_ = written_ = held_ = turn_ = since_write_ = 0;
  finished_ = false;
}

}  // namespace edgestream
