// SPDX-License-Identifier: Apache-2.0
#include "core/loop/grouped_loop.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace edgestream {
namespace {

constexpr int kInput = 0;
constexpr int kOutput = 1;

Decoder& with_two_regions(Decoder& decoder) {
  if (decoder.n_regions() == 2) return decoder;
  throw std::invalid_argument(
      "loop: grouped streams need a decoder with the regions input and "
      "output, this one has " +
      std::to_string(decoder.n_regions()));
}

}  // namespace

GroupedLoop::GroupedLoop(Decoder& decoder, const Policy& policy, GroupedConfig config,
                         Drafter* drafter)
    : TurnLoop(with_two_regions(decoder), policy, std::move(config.loop)),
      config_(std::move(config)),
      batch_(decoder, drafter, config_.n_draft, kOutput, DraftLength::kAdaptive) {
  require_tokens(config_.input_prompt, "a token of input_prompt");
  require_tokens(config_.output_prompt, "a token of output_prompt");
  require_tokens(config_.after_turn, "a token of after_turn");
  if (config_.output_prompt.empty()) {
    throw std::invalid_argument(
        "loop: output_prompt is empty; the first token needs one before it");
  }
  require_room(config_.output_prompt.size(), "output_prompt");
  require_room(config_.after_turn.size() + 1, "after_turn");
}

// One input row is computed in the same batch.
void GroupedLoop::require_room(size_t n_tokens, const char* name) const {
  if (std::cmp_less(n_tokens, batch_.max_rows())) return;
  throw std::invalid_argument(
      "loop: " + std::string(name) + " is too long; this decoder computes " +
      std::to_string(batch_.max_rows()) + " rows at once, raise its max_rows");
}

void GroupedLoop::start() {
  decoder_.reset();
  batch_.reset();
  input_attention_.reset();
  n_input_rows_ = std::ssize(config_.input_prompt);
  newest_ = config_.output_prompt;
  closing_.clear();
  for (const int32_t token : config_.output_prompt) batch_.see(token);
  if (config_.input_prompt.empty()) return;
  embed(config_.input_prompt);
  const RegionRows prompt{kInput, rows_};
  decoder_.step({&prompt, 1}, LogitsOf::kNone);
}

void GroupedLoop::embed(std::span<const int32_t> tokens) {
  rows_.clear();
  decoder_.append_embeddings(tokens, rows_);
}

void GroupedLoop::read_unit(const InputUnit& unit) {
  const auto n_rows = unit.tokens.size();
  for (const int32_t token : unit.tokens) {
    if (token >= 0) batch_.see(token);
  }
  const bool ended = !closing_.empty();  // a row stays when a token is behind it
  batch_.close(ended);
  if (ended) newest_.swap(closing_);
  closing_.clear();
  decoder_.begin_unit();
  input_attention_.read(n_input_rows_, n_input_rows_ + std::ssize(unit.tokens));
  n_input_rows_ += std::ssize(unit.tokens);
  // Of a long unit the first rows go alone: input sees no output, so nothing changes by it. Rows
  // with axes count from the first of them, so all of those do.
  const auto room = static_cast<size_t>(
      std::max(1, batch_.max_rows() - static_cast<int>(newest_.size()) - config_.n_draft));
  const bool fits = n_rows <= room;
  const size_t n_fused = fits ? n_rows : unit.axes.empty() ? room : 0;
  const RegionRows head{kInput, unit.rows.first((n_rows - n_fused) * width_), unit.axes};
  if (!head.embeddings.empty()) decoder_.step({&head, 1}, LogitsOf::kNone);
  embed(newest_);
  const auto axes = n_fused > 0 ? unit.axes : std::span<const int32_t>();
  logits_ = batch_.open(unit.rows.last(n_fused * width_), rows_, axes);
}

Proposal GroupedLoop::propose() {
  if (logits_.empty()) {
    embed(newest_);
    logits_ = batch_.open({}, rows_);
  }
  Proposal proposal = choose(logits_);
  if (config_.n_draft == 0) {
    proposal.attended_lag = input_attention_.lag(decoder_.attention(kInput), n_input_rows_);
  }
  return proposal;
}

void GroupedLoop::write_token(int32_t token) {
  closing_.clear();
  newest_.assign(1, token);
  batch_.see(token);
  logits_ = batch_.follow(token);
  if (logits_.empty()) batch_.close(true);
}

void GroupedLoop::end_turn(TurnEnd how, int32_t token, int /*n_written*/) {
  closing_.clear();
  if (how != TurnEnd::kModel) return;
  closing_.assign(1, token);
  closing_.insert(closing_.end(), config_.after_turn.begin(), config_.after_turn.end());
}

}  // namespace edgestream
