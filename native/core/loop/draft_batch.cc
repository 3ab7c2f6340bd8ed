// SPDX-License-Identifier: Apache-2.0
#include "core/loop/draft_batch.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

constexpr int kMostPaused = 15;  // batches without a draft between two guesses, at most

constexpr int kMaxDraft = 1024;

size_t checked_draft(int n_draft, const Drafter* drafter, int n_vocab) {
  if (n_draft < 0 || n_draft > kMaxDraft) {
    throw std::invalid_argument("draft: n_draft is " + std::to_string(n_draft) +
                                ", must be from 0 (none) to " + std::to_string(kMaxDraft));
  }
  if (n_draft > 0 && drafter == nullptr) {
    throw std::invalid_argument("draft: n_draft is " + std::to_string(n_draft) +
                                " and there is no drafter; give one or let n_draft be 0");
  }
  if (drafter != nullptr && drafter->n_vocab() != 0 && drafter->n_vocab() != n_vocab) {
    throw std::invalid_argument("draft: the drafter has " + std::to_string(drafter->n_vocab()) +
                                " tokens, the decoder " + std::to_string(n_vocab) +
                                "; both need the same vocabulary");
  }
  return static_cast<size_t>(n_draft);
}

}  // namespace

DraftBatch::DraftBatch(Decoder& decoder, Drafter* drafter, int n_draft, int region,
                       DraftLength length)
    : decoder_(decoder),
      drafter_(drafter),
      region_(region),
      width_(static_cast<size_t>(decoder.n_embd())),
      draft_length_(length),
      draft_(checked_draft(n_draft, drafter, decoder.n_vocab())),
      n_wanted_(draft_.size()) {
  rows_.reserve(static_cast<size_t>(decoder.max_proposal()) * width_);
}

std::span<const float> DraftBatch::open(std::span<const float> input, std::span<const float> rows,
                                        std::span<const int32_t> axes) {
  n_input_ = static_cast<int>(input.size() / width_);
  n_rows_ = static_cast<int>(rows.size() / width_);
  const auto room = static_cast<size_t>(std::max(0, max_rows() - n_input_ - n_rows_));
  const auto draft = std::span(draft_).first(std::min(n_wanted_, room));
  const bool pauses = n_paused_ > 0;
  n_paused_ -= pauses ? 1 : 0;
  n_drafted_ = draft.empty() || pauses ? 0 : drafter_->draft(draft);
  followed_ = 0;
  rows_.assign(rows.begin(), rows.end());
  decoder_.append_embeddings(draft.first(n_drafted_), rows_);
  const std::array<RegionRows, 2> groups{RegionRows{0, input, axes}, RegionRows{region_, rows_}};
  all_logits_ = decoder_.propose(std::span(groups).subspan(input.empty() ? 1 : 0));
  open_ = true;
  ++counts_.batches;
  counts_.drafted += n_drafted_;
  return logits();
}

std::span<const float> DraftBatch::logits() const {
  const auto n_vocab = static_cast<size_t>(decoder_.n_vocab());
  return all_logits_.subspan((n_input_ + n_rows_ - 1 + followed_) * n_vocab, n_vocab);
}

std::span<const float> DraftBatch::follow(int32_t token) {
  if (!open_ || followed_ == n_drafted_ || draft_[followed_] != token) return {};
  ++followed_;
  ++counts_.verified;
  return logits();
}

void DraftBatch::close(bool with_current) {
  if (!open_) return;
  const int without = followed_ > 0 ? n_rows_ + followed_ - 1 : 0;
  decoder_.keep(n_input_ + (with_current ? n_rows_ + followed_ : without));
  open_ = false;
  if (draft_length_ == DraftLength::kAdaptive && n_drafted_ > 0) adapt();
}

// 1, 3, 7, ...: with the row before them the batch is a power of two. Where one guess after the
// other is wrong from its first token on, fewer and fewer batches hold one.
void DraftBatch::adapt() {
  n_paused_ = followed_ > 0 ? 0 : pause_;
  pause_ = followed_ > 0 ? 0 : std::min(2 * pause_ + 1, kMostPaused);
  const size_t n = followed_ == n_drafted_ ? 2 * n_wanted_ + 1 : (n_wanted_ - 1) / 2;
  n_wanted_ = std::clamp<size_t>(n, 1, draft_.size());
}

void DraftBatch::see(int32_t token) {
  if (drafter_ != nullptr) drafter_->see(token);
}

void DraftBatch::reset() {
  if (drafter_ != nullptr) drafter_->reset();
  open_ = false;
  n_wanted_ = draft_.size();
  pause_ = n_paused_ = 0;
  counts_ = {};
}

}  // namespace edgestream
