// SPDX-License-Identifier: Apache-2.0
#include "core/loop/concatenated_loop.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

void require_token(int32_t token, int32_t limit, const char* name) {
  if (token >= 0 && token < limit) return;
  throw std::invalid_argument(std::string("loop: token ") + name + " is " + std::to_string(token) +
                              ", the model has tokens 0 to " + std::to_string(limit - 1));
}

LoopConfig loop_config(const SpecialTokens& special, float pad_bias, int32_t n_vocab) {
  if (special.n_text < 1 || special.n_text > n_vocab) {
    throw std::invalid_argument("loop: n_text is " + std::to_string(special.n_text) +
                                ", the model has " + std::to_string(n_vocab) + " tokens");
  }
  require_token(special.pad, special.n_text, "pad");
  LoopConfig config;
  config.n_text = special.n_text;
  config.silence = special.pad;
  config.silence_bias = pad_bias;
  return config;
}

constexpr int32_t kMaxPrompt = 1 << 16;

int64_t prompt_slots(const SpecialTokens& special, int32_t delay_frames) {
  if (special.prompt_pads == SpecialTokens::kNone) return 0;
  if (special.prompt_pads < 0 || special.prompt_pads > kMaxPrompt ||
      special.delay_0 != SpecialTokens::kNone) {
    throw std::invalid_argument("loop: prompt_pads is " + std::to_string(special.prompt_pads) +
                                ", takes 0 to " + std::to_string(kMaxPrompt) +
                                ", and no tokens for delays beside");
  }
  return int64_t{1} + special.prompt_pads + delay_frames;
}

}  // namespace

ConcatenatedLoop::ConcatenatedLoop(Decoder& decoder, const Policy& policy, SpecialTokens special,
                                   int32_t delay_frames, float pad_bias, int32_t deferrals)
    : Loop(decoder, policy, loop_config(special, pad_bias, decoder.n_vocab())),
      special_(special),
      rungs_{&decoder},
      n_prompt_(prompt_slots(special, delay_frames)),
      unit_row_(width_),
      row_(width_) {
  require_token(special.bos, decoder.n_vocab(), "bos");
  const bool has_delays = special.delay_0 != SpecialTokens::kNone;
  const int32_t n_delays = has_delays ? decoder.n_vocab() - special.delay_0 : kMaxPrompt;
  if (has_delays) require_token(special.delay_0, decoder.n_vocab(), "delay_0");
  require_token(delay_frames, n_delays, "delay");
  require_token(deferrals, has_delays ? n_delays - delay_frames : 1, "deferrals");
  for (int32_t rung = 0; rung <= deferrals; ++rung) {
    if (rung > 0) rungs_.push_back(forks_.emplace_back(decoder.fork()).get());
    std::vector<float>& row = delay_rows_.emplace_back(width_);
    if (has_delays) decoder.token_embedding(special.delay_0 + delay_frames + rung, row);
  }
  slots_.resize(rungs_.size() + 1);
}

void ConcatenatedLoop::start() {
  n_slots_ = held_ = 0;
  first_token_ = n_prompt_ > 0 ? special_.bos : special_.pad;
  for (size_t rung = 0; rung < rungs_.size(); ++rung) {
    rungs_[rung]->reset();
    if (n_prompt_ > 0) continue;
    rungs_[rung]->token_embedding(special_.bos, row_);
    const std::span<const float> logits = rungs_[rung]->step(row_);
    if (special_.delay_0 == SpecialTokens::kNone) {
      first_token_ = choose(logits).token;
    } else {
      rungs_[rung]->step(delay_rows_[rung]);
    }
  }
}

int32_t ConcatenatedLoop::token_before(int64_t i) const {
  if (i > 0) return slot(i - 1).token;
  return i == 0 ? first_token_ : special_.pad;  // before slot 0 a rung that is behind reads PAD
}

void ConcatenatedLoop::read_unit(const InputUnit& unit) {
  std::ranges::copy(unit.rows, unit_row_.begin());
}

// The slowest rung first: it may decide the token that the next one reads as the last.
void ConcatenatedLoop::write_unit() {
  for (auto rung = static_cast<int64_t>(rungs_.size()) - 1; rung >= 0; --rung) consult(rung);
  write_slots();
}

// The proposal of one rung for the slot that is `rung` steps back.
void ConcatenatedLoop::consult(int64_t rung) {
  const int64_t i = read() - 1 - rung;
  Decoder& decoder = *rungs_[static_cast<size_t>(rung)];
  const std::vector<float>& delay_row = delay_rows_[static_cast<size_t>(rung)];
  decoder.token_embedding(token_before(i), row_);
  for (size_t d = 0; d < width_; ++d) row_[d] += unit_row_[d] + delay_row[d];
  const std::span<const float> logits = decoder.step(row_);
  if (i < 0 || (rung > 0 && slot(i).decided)) return;
  if (i + 1 < n_prompt_) {  // the next token before is given
    slot(i) = {special_.pad, 1.F, true};
    return;
  }
  Proposal proposal = choose(logits);
  if (rungs_.size() > 1) proposal.agreed = rung > 0 && slot(i).token == proposal.token ? 1 : 0;
  const bool last = rung + 1 == static_cast<int64_t>(rungs_.size());
  if (last && proposal.token == special_.pad) {
    slot(i) = {special_.pad, proposal.probability, true};
    held_ = 0;
    return;
  }
  const bool write = approves(proposal, counts_before(i, rung));
  slot(i) = {write || !last ? proposal.token : special_.pad, proposal.probability, write || last};
  if (write || last) held_ = write ? 0 : held_ + 1;
}

// Slots that wait are counted as what they are proposed to hold.
Loop::Counts ConcatenatedLoop::counts_before(int64_t i, int64_t rung) const {
  Counts counts = counts_;
  for (int64_t earlier = n_slots_; earlier < i; ++earlier) {
    const bool token = slot(earlier).token != special_.pad;
    counts.written += token ? 1 : 0;
    counts.turn = token ? counts.turn + 1 : 0;
    counts.since_write = token ? 0 : counts.since_write + 1;
  }
  ++counts.since_write;
  counts.held = held_ + rung;
  return counts;
}

void ConcatenatedLoop::write_slots() {
  for (; n_slots_ < read() && slot(n_slots_).decided; ++n_slots_) {
    const Slot& next = slot(n_slots_);
    decided_.push_back({next, static_cast<int32_t>(read() - 1 - n_slots_)});
    if (next.token == special_.pad) {
      counts_.turn = 0;
      ++counts_.since_write;
    } else {
      write(next.token, next.probability);
    }
  }
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
  decided_.clear();
  Loop::push(rows);
  for (size_t i = 0; i < decided_.size(); ++i) {
    tokens[i] = decided_[i].slot.token;
    probabilities[i] = decided_[i].slot.probability;
    if (!waited.empty()) waited[i] = decided_[i].waited;
  }
  return decided_.size();
}

}  // namespace edgestream
