// SPDX-License-Identifier: Apache-2.0
#include "core/loop/reencoded_loop.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace edgestream {
namespace {

constexpr int kMaxHypotheses = 64;

void require(bool in_range, const char* name, int value, const std::string& range) {
  if (in_range) return;
  throw std::invalid_argument(std::string("loop: ") + name + " is " + std::to_string(value) +
                              ", must be " + range);
}

ReencodedConfig checked(ReencodedConfig c) {
  require(c.max_rows >= 1, "max_rows", c.max_rows, ">= 1");
  require(c.keep_rows >= 1 && c.keep_rows <= c.max_rows, "keep_rows", c.keep_rows,
          "from 1 to max_rows (" + std::to_string(c.max_rows) + ")");
  require(c.max_hypothesis >= 1, "max_hypothesis", c.max_hypothesis, ">= 1");
  require(c.n_hypotheses >= 1 && c.n_hypotheses <= kMaxHypotheses, "n_hypotheses", c.n_hypotheses,
          "from 1 to " + std::to_string(kMaxHypotheses));
  require(c.lag_rows >= 0, "lag_rows", c.lag_rows, ">= 0");
  if (!(c.loyalty >= 0.F)) {
    throw std::invalid_argument("loop: loyalty is a number of nats, 0 or more");
  }
  require(c.crowd_tokens >= 1, "crowd_tokens", c.crowd_tokens, ">= 1");
  const SamplerConfig& sampler = c.loop.sampler;
  if (sampler.temperature != 0.F || sampler.repetition_penalty != 1.F) {
    throw std::invalid_argument(
        "loop: re-encoded hypotheses are compared with each other, so they must be greedy: "
        "temperature 0, repetition_penalty 1");
  }
  return c;
}

size_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

template <typename T>
void drop_front(std::vector<T>& values, size_t n) {
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n));
}

}  // namespace

ReencodedLoop::ReencodedLoop(Decoder& decoder, const Policy& policy, ReencodedConfig config)
    : TurnLoop(decoder, policy, std::move(config.loop)),
      config_(checked(std::move(config))),
      batch_(decoder, &drafter_, config_.n_draft, 0, DraftLength::kFixed),
      earlier_(std::max(1, config_.n_hypotheses - 1)) {
  require_tokens(config_.before_window, "a token of before_window");
  require_tokens(config_.after_window, "a token of after_window");
  require_tokens(config_.sentence_ends, "a token of sentence_ends");
}

void ReencodedLoop::start() {
  batch_.reset();
  window_.clear();
  unit_ends_.clear();
  committed_.clear();
  hypothesis_.clear();
  proposals_.clear();
  places_.clear();
  draft_.clear();
  order_.clear();
  since_.clear();
  for (auto& hypothesis : earlier_) hypothesis.clear();
  n_left_ = n_decoded_ = 0;
  n_agreed_ = n_committed_ = 0;
}

void ReencodedLoop::read_unit(const InputUnit& unit) {
  window_.insert(window_.end(), unit.rows.begin(), unit.rows.end());
  const int64_t n_read = n_left_ + n_window_rows();
  unit_ends_.push_back(n_read);
  leave_sentences();
  if (n_window_rows() > config_.max_rows) trim(n_read);
  encode();
  remember_hypothesis();
  decode();
  compare(n_read);
}

void ReencodedLoop::leave_sentences() {
  if (n_window_rows() <= config_.keep_rows) return;
  for (size_t i = committed_.size(); i-- > 0;) {
    const Committed& last = committed_[i];
    if (last.end < 0 ||
        std::ranges::find(config_.sentence_ends, last.token) == config_.sentence_ends.end()) {
      continue;
    }
    const int64_t n_rows = last.end - n_left_;
    drop_front(committed_, i + 1);
    leave(n_rows);
    return;
  }
}

void ReencodedLoop::trim(int64_t n_read) {
  int64_t boundary = n_read - config_.keep_rows;
  // Where a token is over: at its end, or if that is not known, when it came to stay.
  const auto over = [](const Committed& c) { return c.end < 0 ? c.since : c.end; };
  const auto later = std::ranges::upper_bound(committed_, boundary, {}, over);
  if (later != committed_.begin() && over(*std::prev(later)) > n_left_) {
    boundary = over(*std::prev(later));
  }
  committed_.erase(committed_.begin(), later);
  leave(boundary - n_left_);
}

void ReencodedLoop::leave(int64_t n_rows) {
  n_rows = std::clamp<int64_t>(n_rows, 0, n_window_rows());
  drop_front(window_, n_rows * width_);
  n_left_ += n_rows;
  unit_ends_.erase(unit_ends_.begin(), std::ranges::upper_bound(unit_ends_, n_left_));
}

// All rows but the last enter; that one opens the batch that verifies the draft.
void ReencodedLoop::encode() {
  decoder_.reset();
  rows_.clear();
  decoder_.append_embeddings(config_.before_window, rows_);
  note_input();
  rows_.insert(rows_.end(), window_.begin(), window_.end());
  decoder_.append_embeddings(config_.after_window, rows_);
  for (const Committed& committed : committed_) {
    decoder_.append_embeddings({&committed.token, 1}, rows_);
  }
  drafter_.expect(draft_);
  const auto rows = std::span<const float>(rows_);
  const RegionRows before{0, rows.first(rows.size() - width_)};
  if (!before.embeddings.empty()) decoder_.step({&before, 1}, LogitsOf::kNone);
  logits_ = batch_.open({}, rows.last(width_));
}

void ReencodedLoop::note_input() {
  input_attention_.reset();
  int64_t at = n_left_;
  if (config_.lag_rows == 0) {
    for (const int64_t next : unit_ends_) note_rows(std::exchange(at, next), next);
  }
  for (const int64_t end = n_left_ + n_window_rows(); at < end;) {
    const int64_t next = std::min(end, (at / config_.lag_rows + 1) * config_.lag_rows);
    note_rows(std::exchange(at, next), next);
  }
}

// Rows of the stream that count as one.
void ReencodedLoop::note_rows(int64_t first, int64_t end) {
  const int64_t first_row = std::ssize(config_.before_window) - n_left_;  // of the stream's start
  input_attention_.read(first_row + first, first_row + end);
}

void ReencodedLoop::remember_hypothesis() {
  ++n_decoded_;
  std::ranges::rotate(earlier_, earlier_.end() - 1);
  earlier_.front().swap(hypothesis_);
}

void ReencodedLoop::decode() {
  hypothesis_.clear();
  proposals_.clear();
  last_draft_.swap(draft_);
  draft_.clear();
  order_.clear();
  bool same = true;  // as the last hypothesis so far
  while (std::cmp_less(draft_.size(), config_.max_hypothesis)) {
    Proposal proposal = choose(logits_);
    same = same && draft_.size() < last_draft_.size();
    if (same) keep_to(last_draft_[draft_.size()], proposal);
    const int32_t token = proposal.token;
    same = same && token == last_draft_[draft_.size()];
    if (ends_turn(token) || token == loop_config_.silence) break;
    if (!is_time(token)) {
      const int n_after = batch_.n_after();
      const int64_t n_rows = decoder_.pos() + batch_.n_open_rows() - n_after;
      proposal.attended_lag = input_attention_.lag(decoder_.attention_before(0, n_after), n_rows);
      hypothesis_.push_back(token);
      proposals_.push_back(proposal);
      order_.push_back(draft_.size());
    }
    draft_.push_back(token);
    batch_.see(token);
    logits_ = batch_.follow(token);
    if (!logits_.empty()) continue;
    batch_.close(true);
    rows_.clear();
    decoder_.append_embeddings({&token, 1}, rows_);
    logits_ = batch_.open({}, rows_);
  }
  batch_.close(true);
  place();
}

// A token that the last hypothesis had stays unless another is clearly likelier now.
void ReencodedLoop::keep_to(int32_t token, Proposal& proposal) const {
  if (token == proposal.token) return;
  const float behind = logits_[proposal.token] - logits_[token];
  if (!(behind < config_.loyalty)) return;
  proposal.token = token;
  proposal.probability *= std::exp(-behind);
}

// Where the hypothesis was heard, and how much of it can have been.
void ReencodedLoop::place() {
  places_.clear();
  n_placed_ = 0;
  const auto heard = decoder_.heard_at(static_cast<int>(draft_.size()));
  if (heard.empty()) return;
  for (const size_t i : order_) places_.push_back(heard[i]);
  places_.push_back(heard.back());
  size_t n = hypothesis_.size();
  for (size_t i = 0; i + config_.crowd_tokens <= n; ++i) {
    if (places_[i + config_.crowd_tokens] - places_[i] < config_.crowd_rows) n = i;
  }
  if (n == hypothesis_.size()) return;
  draft_.resize(order_[n]);
  hypothesis_.resize(n);
  proposals_.resize(n);
  order_.resize(n);
  places_.resize(n + 1);
}

void ReencodedLoop::compare(int64_t n_read) {
  n_agreed_ = n_decoded_ >= config_.n_hypotheses ? hypothesis_.size() : 0;
  for (int i = 0; i < config_.n_hypotheses - 1; ++i) {
    n_agreed_ = std::min(n_agreed_, agreement(earlier_[i]));
  }
  const size_t stayed = common_prefix(hypothesis_, earlier_.front());
  since_.resize(stayed);
  since_.resize(hypothesis_.size(), n_read);
}

// Tokens that the newest hypothesis shares with another, in whole words.
size_t ReencodedLoop::agreement(std::span<const int32_t> other) const {
  size_t n = common_prefix(hypothesis_, other);
  while (n > 0 && !(is_word_end(hypothesis_, n) && is_word_end(other, n))) --n;
  return n;
}

// Whether no word goes on behind the first n tokens.
bool ReencodedLoop::is_word_end(std::span<const int32_t> hypothesis, size_t n) const {
  return n == hypothesis.size() || begins_word(hypothesis[n]);
}

// Behind the word of the hypothesis that holds token i.
size_t ReencodedLoop::word_end(size_t i) const {
  do ++i;
  while (!is_word_end(hypothesis_, i));
  return i;
}

Proposal ReencodedLoop::propose() {
  if (n_committed_ == hypothesis_.size()) return {};
  Proposal proposal = proposals_[n_committed_];
  const size_t end = word_end(n_committed_);
  for (size_t i = n_committed_ + 1; i < end; ++i) {
    proposal.attended_lag = std::min(proposal.attended_lag, proposals_[i].attended_lag);
    proposal.probability = std::min(proposal.probability, proposals_[i].probability);
  }
  proposal.agreed = 0;
  for (size_t i = n_committed_; i < n_agreed_; i = word_end(i)) ++proposal.agreed;
  return proposal;
}

void ReencodedLoop::write_token(int32_t token) {
  const size_t after = n_placed_ + n_committed_ + 1;  // of places_: where it ended
  int64_t end = after < places_.size() ? n_left_ + places_[after] : -1;
  if (!committed_.empty()) end = std::max(end, committed_.back().end);  // as it was heard then
  committed_.push_back({token, since_[n_committed_], end});
  ++n_committed_;
}

void ReencodedLoop::end_turn(TurnEnd /*how*/, int32_t /*token*/, int /*n_written*/) {
  const std::span<const int32_t> written = std::span(hypothesis_).first(n_committed_);
  for (auto& other : earlier_) {
    const bool agrees = common_prefix(written, other) == written.size();
    drop_front(other, agrees ? written.size() : other.size());
  }
  if (!places_.empty()) drop_front(places_, std::exchange(n_placed_, n_committed_));
  const size_t n_gone = n_committed_ == 0 ? 0 : order_[n_committed_ - 1] + 1;
  drop_front(draft_, n_gone);
  drop_front(order_, n_committed_);
  for (size_t& place : order_) place -= n_gone;
  drop_front(hypothesis_, n_committed_);
  drop_front(proposals_, n_committed_);
  drop_front(since_, n_committed_);
  n_agreed_ -= std::min(n_agreed_, n_committed_);
  n_committed_ = 0;
}

}  // namespace edgestream
