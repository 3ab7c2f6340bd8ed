// SPDX-License-Identifier: Apache-2.0
#include "core/interleaved_loop.h"

#include <utility>

namespace edgestream {

InterleavedLoop::InterleavedLoop(Decoder& decoder, const Policy& policy, InterleavedConfig config,
                                 Drafter* drafter)
    : TurnLoop(decoder, policy, config.loop),
      config_(std::move(config)),
      batch_(decoder, drafter, config_.n_draft, 0) {
  require_tokens(config_.prompt, "a token of prompt");
  require_tokens(config_.before_unit, "a token of before_unit");
  require_tokens(config_.after_unit, "a token of after_unit");
  require_tokens(config_.after_turn, "a token of after_turn");
  require_tokens(config_.after_silence, "a token of after_silence");
}

void InterleavedLoop::start() {
  decoder_.reset();
  batch_.reset();
  input_attention_.reset();
  closing_ = config_.prompt;
  newest_ = -1;
}

void InterleavedLoop::embed(int32_t token) {
  rows_.resize(rows_.size() + width_);
  decoder_.token_embedding(token, std::span(rows_).last(width_));
}

void InterleavedLoop::add(std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) {
    embed(token);
    batch_.see(token);
  }
}

void InterleavedLoop::read_unit(std::span<const float> rows, std::span<const int32_t> tokens) {
  batch_.close(true);
  rows_.clear();
  if (newest_ >= 0) embed(newest_);
  newest_ = -1;
  add(closing_);
  add(config_.before_unit);
  const int64_t first = decoder_.pos() + static_cast<int64_t>(rows_.size() / width_);
  rows_.insert(rows_.end(), rows.begin(), rows.end());
  input_attention_.read(first, first + static_cast<int64_t>(tokens.size()));
  for (const int32_t token : tokens) {
    if (token >= 0) batch_.see(token);
  }
  add(config_.after_unit);
  closing_.clear();
  logits_ = decoder_.step(rows_);
}

Proposal InterleavedLoop::propose() {
  if (newest_ >= 0) {
    rows_.clear();
    embed(newest_);
    newest_ = -1;
    logits_ = batch_.open({}, rows_);
  }
  Proposal proposal = choose(logits_);
  if (config_.n_draft == 0) {
    const int64_t newest = decoder_.pos() - 1 + batch_.n_open_rows();
    proposal.attended_lag =
        input_attention_.lag(decoder_.attention(0), config_.prompt.size(), newest);
  }
  return proposal;
}

void InterleavedLoop::write_token(int32_t token) {
  closing_.clear();
  batch_.see(token);
  logits_ = batch_.follow(token);
  if (!logits_.empty()) return;
  batch_.close(true);
  newest_ = token;
}

void InterleavedLoop::end_turn(TurnEnd how, int32_t token, int n_written) {
  closing_.clear();
  const auto end_with = [this](std::span<const int32_t> first, std::span<const int32_t> rest) {
    closing_.assign(first.begin(), first.end());
    closing_.insert(closing_.end(), rest.begin(), rest.end());
  };
  if (how == TurnEnd::kModel) return end_with({&token, 1}, config_.after_turn);
  if (n_written == 0) {
    const bool enters = loop_config_.silence >= 0 && config_.remember_silence;
    return end_with({&config_.loop.silence, enters ? 1U : 0U}, config_.after_silence);
  }
  const std::span ends(config_.loop.end_of_turn);
  end_with(ends.first(ends.empty() ? 0 : 1), config_.after_turn);
}

}  // namespace edgestream
