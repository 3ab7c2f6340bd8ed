// SPDX-License-Identifier: Apache-2.0
// A decoder small enough to follow by hand: every row's state mixes the states of all rows that it
// sees, so logits change with every row that is missing, too many, or in another order.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <vector>

#include "core/ring/decoder.h"

namespace edgestream {

constexpr int kToyWidth = 4;
constexpr int kToyVocab = 12;

/// Rows of region 0 see rows of region 0; rows of region 1 see all. Nothing ever leaves.
class ToyDecoder final : public Decoder {
 public:
  explicit ToyDecoder(int n_regions = 1, int max_proposal = 8, float readout = 1.F)
      : n_regions_(n_regions), max_proposal_(max_proposal), readout_(readout) {}

  int n_embd() const override { return kToyWidth; }
  int n_vocab() const override { return kToyVocab; }
  int n_regions() const override { return n_regions_; }
  int max_proposal() const override { return max_proposal_; }
  void token_embedding(int32_t token, std::span<float> out) const override {
    if (token < 0 || token >= kToyVocab) throw std::invalid_argument("toy: no such token");
    for (int i = 0; i < kToyWidth; ++i) {
      out[i] = std::sin(1.7F * static_cast<float>(token + 1) + 2.3F * static_cast<float>(i));
    }
  }
  std::span<const float> step(std::span<const RegionRows> groups, LogitsOf wanted) override {
    if (n_open_ > 0) throw std::invalid_argument("toy: a proposal is open");
    take(groups);
    const std::span<const float> all(logits_);
    if (wanted == LogitsOf::kNone) return {};
    return wanted == LogitsOf::kEveryRow ? all : all.last(kToyVocab);
  }
  using Decoder::step;
  std::span<const float> propose(std::span<const RegionRows> groups) override {
    const size_t before = rows_.size();
    take(groups);
    n_open_ += rows_.size() - before;
    if (n_open_ > static_cast<size_t>(max_proposal_)) throw std::invalid_argument("toy: too many");
    return logits_;
  }
  void keep(int n_rows) override {
    if (n_rows < 0 || static_cast<size_t>(n_rows) > n_open_ || n_open_ == 0) {
      throw std::invalid_argument("toy: cannot keep so many rows");
    }
    rows_.resize(rows_.size() - n_open_ + n_rows);
    n_open_ = 0;
  }
  std::span<const float> attention(int region) const override {
    if (!captures_) return {};
    weights_.clear();
    for (const Row& row : rows_) {
      if (row.region == region) weights_.push_back(similarity(row, rows_.back()));
    }
    return weights_;
  }
  std::shared_ptr<Decoder> fork() const override { return std::make_shared<ToyDecoder>(*this); }
  int64_t pos() const override { return static_cast<int64_t>(rows_.size() - n_open_); }
  void reset() override {
    rows_.clear();
    n_open_ = 0;
  }

  void capture_attention() { captures_ = true; }
  int n_batches() const { return n_batches_; }
  std::span<const float> logits() const { return logits_; }  ///< of every row of the last batch

 private:
  struct Row {
    int region;
    std::array<float, kToyWidth> state;
  };

  static float similarity(const Row& a, const Row& b) {
    float sum = 0;
    for (int i = 0; i < kToyWidth; ++i) sum += a.state[i] * b.state[i];
    return std::exp(3 * sum);
  }

  void take(std::span<const RegionRows> groups) {
    ++n_batches_;
    logits_.clear();
    for (const RegionRows& group : groups) {
      if (group.region < 0 || group.region >= n_regions_ || group.embeddings.empty() ||
          group.embeddings.size() % kToyWidth != 0) {
        throw std::invalid_argument("toy: no such region or ragged rows");
      }
      for (size_t at = 0; at < group.embeddings.size(); at += kToyWidth) {
        take_row(group.region, group.embeddings.subspan(at, kToyWidth));
      }
    }
  }

  void take_row(int region, std::span<const float> x) {
    Row row{region, {}};
    float decay = 0.8F;
    std::array<float, kToyWidth> seen{};
    for (size_t r = rows_.size(); r-- > 0;) {
      if (region == 0 && rows_[r].region != 0) continue;
      for (int i = 0; i < kToyWidth; ++i) {
        seen[i] += decay * rows_[r].state[(i + 1 + rows_[r].region) % kToyWidth];
      }
      decay *= 0.8F;
    }
    for (int i = 0; i < kToyWidth; ++i) row.state[i] = std::tanh(x[i] + 0.5F * seen[i]);
    rows_.push_back(row);
    for (int v = 0; v < kToyVocab; ++v) {
      float sum = 0;
      for (int i = 0; i < kToyWidth; ++i) {
        sum += row.state[i] * std::sin(readout_ * static_cast<float>(v * (i + 2) + 3 * i + 1));
      }
      logits_.push_back(4 * sum);
    }
  }

  int n_regions_;
  int max_proposal_;
  float readout_;
  std::vector<Row> rows_;
  std::vector<float> logits_;
  mutable std::vector<float> weights_;
  size_t n_open_ = 0;
  int n_batches_ = 0;
  bool captures_ = false;
};

inline std::vector<float> toy_rows(int n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> rows(static_cast<size_t>(n) * kToyWidth);
  for (float& x : rows) x = normal(random);
  return rows;
}

/// Lengths >= 0 that sum to n.
inline std::vector<int> toy_cuts(int n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int> cuts;
  while (n > 0) {
    cuts.push_back(std::min<int>(n, static_cast<int>(random() % 8)));
    n -= cuts.back();
  }
  return cuts;
}

}  // namespace edgestream
