// SPDX-License-Identifier: Apache-2.0
#include "core/picture/picture.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

constexpr std::size_t kChannels = 3;

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("picture: " + what);
}

std::size_t checked_side(const char* name, std::size_t value, std::size_t max) {
  if (value >= 1 && value <= max) return value;
  refuse(std::string(name) + " is " + std::to_string(value) + " pixels; it must be 1 to " +
         std::to_string(max));
}

void expect_size(const char* name, std::size_t n_values, std::size_t width, std::size_t height) {
  if (n_values == width * height * kChannels) return;
  refuse(std::string(name) + " has " + std::to_string(n_values) + " values; " +
         std::to_string(width) + " x " + std::to_string(height) + " pixels of RGB have " +
         std::to_string(width * height * kChannels));
}

}  // namespace

ResizeAxis::ResizeAxis(std::size_t n_out) { outputs_.resize(n_out); }

void ResizeAxis::fit(std::size_t n_in) {
  if (n_in == n_in_) return;
  const std::size_t n_out = outputs_.size();
  const double step = static_cast<double>(n_in) / static_cast<double>(n_out);
  outputs_.clear();
  weights_.clear();
  for (std::size_t i = 0; i < n_out; ++i) {
    if (n_in >= n_out) {
      add_area(static_cast<double>(i) * step, static_cast<double>(i + 1) * step);
    } else {
      add_bilinear((static_cast<double>(i) + 0.5) * step - 0.5, n_in);
    }
  }
  n_in_ = n_in;
}

ResizeAxis::Taps ResizeAxis::taps(std::size_t out) const noexcept {
  const Output& output = outputs_[out];
  return {output.first_input, std::span(weights_).subspan(output.first_weight, output.n_weights)};
}

void ResizeAxis::add_area(double begin, double end) {
  // Rounding may put an edge a hair beside a whole input, whose sliver is nothing to read.
  constexpr double kSliver = 1e-6;
  const auto first = static_cast<std::size_t>(begin + kSliver);
  const auto last = static_cast<std::size_t>(std::ceil(end - kSliver));
  outputs_.push_back({first, weights_.size(), last - first});
  for (std::size_t input = first; input < last; ++input) {
    const double from = std::max(begin, static_cast<double>(input));
    const double to = std::min(end, static_cast<double>(input + 1));
    weights_.push_back(static_cast<float>((to - from) / (end - begin)));
  }
}

void ResizeAxis::add_bilinear(double at, std::size_t n_in) {
  const double held = std::clamp(at, 0.0, static_cast<double>(n_in - 1));
  const auto first = static_cast<std::size_t>(held);
  const double fraction = held - static_cast<double>(first);
  const std::size_t n_weights = fraction > 0.0 ? 2 : 1;
  outputs_.push_back({first, weights_.size(), n_weights});
  weights_.push_back(static_cast<float>(1.0 - fraction));
  if (n_weights == 2) weights_.push_back(static_cast<float>(fraction));
}

PictureResizer::PictureResizer(std::size_t width, std::size_t height)
    : width_(checked_side("width", width, kMaxOutSide)),
      height_(checked_side("height", height, kMaxOutSide)),
      columns_(width),
      rows_(height) {}

void PictureResizer::push(std::span<const std::uint8_t> rgb, std::size_t width, std::size_t height,
                          std::span<float> out) {
  checked_side("input width", width, kMaxSide);
  checked_side("input height", height, kMaxSide);
  expect_size("input", rgb.size(), width, height);
  expect_size("output", out.size(), width_, height_);
  columns_.fit(width);
  rows_.fit(height);
  mixed_.resize(width * kChannels);
  const std::size_t out_row = width_ * kChannels;
  for (std::size_t y = 0; y < height_; ++y) {
    mix_rows(rgb, rows_.taps(y));
    mix_columns(out.subspan(y * out_row, out_row));
  }
}

void PictureResizer::mix_rows(std::span<const std::uint8_t> rgb, const ResizeAxis::Taps& rows) {
  const std::size_t n = mixed_.size();
  std::fill(mixed_.begin(), mixed_.end(), 0.0F);
  for (std::size_t tap = 0; tap < rows.weights.size(); ++tap) {
    const std::uint8_t* const row = rgb.data() + (rows.first + tap) * n;
    const float weight = rows.weights[tap];
    for (std::size_t i = 0; i < n; ++i) mixed_[i] += weight * static_cast<float>(row[i]);
  }
}

void PictureResizer::mix_columns(std::span<float> out_row) const {
  constexpr float kMaxValue = 255.0F;
  for (std::size_t x = 0; x < width_; ++x) {
    const ResizeAxis::Taps columns = columns_.taps(x);
    float sums[kChannels] = {};
    const float* pixel = mixed_.data() + columns.first * kChannels;
    for (const float weight : columns.weights) {
      for (float& sum : sums) sum += weight * *pixel++;
    }
    // The weights may sum to a rounding more than 1.
    for (std::size_t c = 0; c < kChannels; ++c) {
      out_row[x * kChannels + c] = std::min(sums[c] / kMaxValue, 1.0F);
    }
  }
}

}  // namespace edgestream
