// SPDX-License-Identifier: Apache-2.0
#include "core/loop/interleaved_loop.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace edgestream {

InterleavedLoop::InterleavedLoop(Decoder& decoder, const Policy& policy, InterleavedConfig config,
                                 Drafter* drafter)
    : TurnLoop(decoder, policy, std::move(config.loop)),
      config_(std::move(config)),
      batch_(decoder, drafter, config_.n_draft, config_.output_region, DraftLength::kAdaptive) {
  const int first =
      config_.attention_sink_region < 0 ? config_.output_region : config_.attention_sink_region;
  for (const int region : {config_.input_region, config_.output_region, first}) {
    if (region >= 0 && region < decoder.n_regions()) continue;
    throw std::invalid_argument("loop: there is no region " + std::to_string(region) +
                                "; this decoder has " + std::to_string(decoder.n_regions()));
  }
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
  n_input_rows_ = 0;
}

void InterleavedLoop::settle() {
  if (batch_.n_open_rows() == 0) return;
  settled_logits_.assign(logits_.begin(), logits_.end());  // finish() may go on from them
  logits_ = settled_logits_;
  batch_.close(true);
}

void InterleavedLoop::follow(const InterleavedLoop& other) {
  if (other.batch_.n_open_rows() > 0) {
    throw std::invalid_argument("loop: settle() the one to follow before its decoder is forked");
  }
  TurnLoop::follow(other);
  batch_.reset();
  input_attention_ = other.input_attention_;
  closing_ = other.closing_;
  newest_ = other.newest_;
  n_input_rows_ = other.n_input_rows_;
}

void InterleavedLoop::go_on(std::span<const int32_t> seen) {
  require_tokens(seen, "a token that was seen");
  if (batch_.n_open_rows() > 0 || newest_ >= 0) {
    throw std::invalid_argument("loop: what it wrote is not in the decoder yet; take a new loop");
  }
  if (config_.input_region != config_.output_region || config_.attention_sink_region >= 0) {
    throw std::invalid_argument("loop: to go on behind a past, units and text share a region");
  }
  TurnLoop::go_on();
  batch_.reset();
  input_attention_.reset();
  closing_.clear();
  newest_ = -1;
  n_input_rows_ = 0;
  for (const int32_t token : seen) batch_.see(token);
}

void InterleavedLoop::embed(int32_t token) { decoder_.append_embeddings({&token, 1}, rows_); }

void InterleavedLoop::add(std::span<const int32_t> tokens) {
  decoder_.append_embeddings(tokens, rows_);
  for (const int32_t token : tokens) batch_.see(token);
}

void InterleavedLoop::read_unit(const InputUnit& unit) {
  batch_.close(true);
  decoder_.begin_unit();
  rows_.clear();
  if (newest_ >= 0) embed(newest_);
  newest_ = -1;
  add(closing_);
  add(config_.before_unit);
  const size_t begin = rows_.size();
  for (const int32_t token : unit.tokens) {
    if (token >= 0) batch_.see(token);
  }
  add(config_.after_unit);
  closing_.clear();
  step(unit, begin);
}

// The unit's rows enter before the row that begins at `begin`, maybe in a region of their own.
void InterleavedLoop::step(const InputUnit& unit, size_t begin) {
  const bool apart = config_.input_region != config_.output_region;
  const auto n_rows = static_cast<int64_t>(unit.tokens.size());
  const int64_t before =
      apart ? n_input_rows_ : decoder_.pos() + static_cast<int64_t>(begin / width_);
  int64_t n_output = decoder_.pos() - n_input_rows_;
  n_input_rows_ += n_rows;
  input_attention_.read(before, before + n_rows);
  const std::span<const float> all(rows_);
  groups_.clear();
  enter_output(all.first(begin), n_output);
  groups_.push_back({config_.input_region, unit.rows, unit.axes});
  enter_output(all.subspan(begin), n_output);
  logits_ = decoder_.step(groups_, LogitsOf::kLastRow);
}

// Rows that are no unit's, `n_before` of which came before: the first are attention sinks.
void InterleavedLoop::enter_output(std::span<const float> rows, int64_t& n_before) {
  const auto n_rows = static_cast<int64_t>(rows.size() / width_);
  const int64_t room =
      config_.attention_sink_region < 0 ? 0 : std::max<int64_t>(0, config_.n_sinks - n_before);
  const auto first = static_cast<size_t>(std::min(room, n_rows)) * width_;
  n_before += n_rows;
  if (first > 0) groups_.push_back({config_.attention_sink_region, rows.first(first)});
  if (first < rows.size()) groups_.push_back({config_.output_region, rows.subspan(first)});
}

// Where `n_rows` rows go that are taken together, a part of which may be taken back.
int InterleavedLoop::output_region(int n_rows) const {
  const int64_t n_output = decoder_.pos() - n_input_rows_;
  const bool fits = config_.attention_sink_region >= 0 && n_output + n_rows <= config_.n_sinks;
  return fits ? config_.attention_sink_region : config_.output_region;
}

Proposal InterleavedLoop::propose() {
  if (newest_ >= 0) {
    rows_.clear();
    embed(newest_);
    newest_ = -1;
    batch_.enter(output_region(1 + config_.n_draft));
    logits_ = batch_.open({}, rows_);
  }
  Proposal proposal = choose(logits_);
  if (config_.n_draft == 0) {
    const bool apart = config_.input_region != config_.output_region;
    const int64_t n_rows = apart ? n_input_rows_ : decoder_.pos() + batch_.n_open_rows();
    proposal.attended_lag = input_attention_.lag(decoder_.attention(config_.input_region), n_rows);
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
    return end_with({&loop_config_.silence, enters ? 1U : 0U}, config_.after_silence);
  }
  const std::span ends(loop_config_.end_of_turn);
  end_with(ends.first(ends.empty() ? 0 : 1), config_.after_turn);
}

}  // namespace edgestream
