// SPDX-License-Identifier: Apache-2.0
#include "core/loop/drafter.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace edgestream {

NgramDrafter::NgramDrafter(int min_ngram, int max_ngram, int window)
    : min_ngram_(min_ngram), max_ngram_(max_ngram), window_(window) {
  if (min_ngram < 1 || max_ngram < min_ngram || window <= max_ngram || window > 1 << 20) {
    throw std::invalid_argument("n-gram drafter: lengths " + std::to_string(min_ngram) + " to " +
                                std::to_string(max_ngram) + " in a window of " +
                                std::to_string(window) +
                                "; must be 1 <= min_ngram <= max_ngram < window <= 1048576");
  }
  history_.reserve(2 * window_);
}

void NgramDrafter::see(int32_t token) {
  if (history_.size() == 2 * window_) {
    history_.erase(history_.begin(), history_.end() - static_cast<std::ptrdiff_t>(window_));
  }
  history_.push_back(token);
}

int NgramDrafter::draft(std::span<int32_t> out) {
  const auto seen =
      std::span(history_).last(std::min(history_.size(), window_));  // not older ones by chance
  for (size_t n = std::min(max_ngram_, seen.size()); n >= min_ngram_; --n) {
    const auto suffix = seen.last(n);
    for (size_t end = seen.size() - 1; end >= n; --end) {
      if (!std::ranges::equal(seen.subspan(end - n, n), suffix)) continue;
      // Past the newest token the repetition goes on by itself: a copy may overlap its source.
      const auto next = [&](size_t i) {
        return end + i < seen.size() ? seen[end + i] : out[end + i - seen.size()];
      };
      for (size_t i = 0; i < out.size(); ++i) out[i] = next(i);
      return static_cast<int>(out.size());
    }
  }
  return 0;
}

void HypothesisDrafter::expect(std::span<const int32_t> tokens) {
  expected_.assign(tokens.begin(), tokens.end());
  n_seen_ = 0;
}

void HypothesisDrafter::see(int32_t token) {
  if (n_seen_ < expected_.size() && expected_[n_seen_] == token) {
    ++n_seen_;
  } else {
    expected_.clear();
    n_seen_ = 0;
  }
}

int HypothesisDrafter::draft(std::span<int32_t> out) {
  const auto rest = std::span(expected_).subspan(n_seen_);
  const size_t n = std::min(rest.size(), out.size());
  std::ranges::copy(rest.first(n), out.begin());
  return static_cast<int>(n);
}

DecoderDrafter::DecoderDrafter(Decoder& decoder) : decoder_(decoder) { reset(); }

void DecoderDrafter::reset() {
  decoder_.reset();
  unread_.clear();
  proposed_.clear();
}

std::span<const float> DecoderDrafter::embeddings(std::span<const int32_t> tokens) {
  rows_.clear();
  decoder_.append_embeddings(tokens, rows_);
  return rows_;
}

// What was drafted last and then came true is in the decoder's memory already.
void DecoderDrafter::settle() {
  const auto differs = std::ranges::mismatch(unread_, proposed_);
  const auto n_true = differs.in1 - unread_.begin();
  if (!proposed_.empty()) decoder_.keep(static_cast<int>(n_true));
  proposed_.clear();
  unread_.erase(unread_.begin(), differs.in1);
}

int DecoderDrafter::draft(std::span<int32_t> out) {
  settle();
  if (unread_.empty()) return 0;
  std::span<const float> logits = decoder_.step(embeddings(unread_));
  unread_.clear();
  const size_t n = std::min(out.size(), static_cast<size_t>(decoder_.max_proposal()) + 1);
  for (size_t i = 0; i < n; ++i) {
    out[i] = static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
    if (i + 1 == n) break;
    proposed_.push_back(out[i]);
    const RegionRows row{0, embeddings(out.subspan(i, 1))};
    logits = decoder_.propose({&row, 1});
  }
  return static_cast<int>(n);
}

}  // namespace edgestream
