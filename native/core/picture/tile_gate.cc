// SPDX-License-Identifier: Apache-2.0
#include "core/picture/tile_gate.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "core/picture/picture.h"

namespace edgestream {
namespace {

constexpr std::size_t kChannels = 3;

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("tile gate: " + what);
}

void expect_side(const char* name, std::size_t value, std::size_t max) {
  if (value >= 1 && value <= max) return;
  refuse(std::string(name) + " is " + std::to_string(value) + " pixels; it must be 1 to " +
         std::to_string(max));
}

void expect_share(const char* name, float value) {
  if (value >= 0.0F && value <= 1.0F) return;  // written so that NaN is refused too
  refuse(std::string(name) + " is " + std::to_string(value) + "; it must be 0 to 1");
}

const TileGateConfig& checked(const TileGateConfig& config) {
  expect_side("width", config.width, PictureResizer::kMaxOutSide);
  expect_side("height", config.height, PictureResizer::kMaxOutSide);
  expect_side("tile_px", config.tile_px, PictureResizer::kMaxOutSide);
  expect_share("min_difference", config.min_difference);
  expect_share("min_shot_share", config.min_shot_share);
  expect_share("min_shot_histogram", config.min_shot_histogram);
  return config;
}

void expect_size(const char* name, std::size_t n_values, std::size_t expected) {
  if (n_values == expected) return;
  refuse(std::string(name) + " has " + std::to_string(n_values) + " values, need " +
         std::to_string(expected));
}

std::size_t level(float value, std::size_t n_levels) {
  if (!(value > 0.0F)) return 0;  // NaN too
  const float scaled = std::min(value, 1.0F) * static_cast<float>(n_levels);
  return std::min(static_cast<std::size_t>(scaled), n_levels - 1);
}

}  // namespace

TileGate::TileGate(const TileGateConfig& config)
    : config_(checked(config)),
      tiles_wide_((config.width + config.tile_px - 1) / config.tile_px),
      tiles_high_((config.height + config.tile_px - 1) / config.tile_px),
      kept_(config.width * config.height * kChannels) {}

TileChange TileGate::push(std::span<const float> rgb, std::span<std::uint8_t> kept) {
  expect_size("picture", rgb.size(), kept_.size());
  expect_size("map of kept tiles", kept.size(), tiles_wide_ * tiles_high_);
  const bool first = pictures_ == 0;
  TileChange change;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const Tile at = tile(i / tiles_wide_, i % tiles_wide_);
    kept[i] = first || changed(rgb, at) ? 1 : 0;
    if (kept[i] == 0) continue;
    keep(rgb, at);
    ++change.n_kept;
  }
  count_colours(rgb);
  const float share = static_cast<float>(change.n_kept) / static_cast<float>(kept.size());
  change.shot_change = !first && share >= config_.min_shot_share &&
                       histogram_distance() >= config_.min_shot_histogram;
  ++pictures_;
  kept_tiles_ += static_cast<std::int64_t>(change.n_kept);
  return change;
}

void TileGate::reset() noexcept {
  pictures_ = 0;
  kept_tiles_ = 0;
}

double TileGate::drop_ratio() const noexcept {
  if (pictures_ == 0) return 0.0;
  const auto seen = static_cast<double>(pictures_) * static_cast<double>(tiles_wide_ * tiles_high_);
  return 1.0 - static_cast<double>(kept_tiles_) / seen;
}

TileGate::Tile TileGate::tile(std::size_t row, std::size_t column) const noexcept {
  const std::size_t top = row * config_.tile_px;
  const std::size_t left = column * config_.tile_px;
  const std::size_t right = std::min(left + config_.tile_px, config_.width);
  return {top, std::min(top + config_.tile_px, config_.height), left * kChannels,
          (right - left) * kChannels};
}

bool TileGate::changed(std::span<const float> rgb, const Tile& tile) const noexcept {
  double sum = 0.0;
  for (std::size_t y = tile.top; y < tile.bottom; ++y) {
    const std::size_t begin = y * config_.width * kChannels + tile.first_value;
    for (std::size_t i = begin; i < begin + tile.n_values; ++i) sum += std::abs(rgb[i] - kept_[i]);
  }
  const auto n = static_cast<double>((tile.bottom - tile.top) * tile.n_values);
  return !(sum / n < static_cast<double>(config_.min_difference));  // NaN is a change
}

void TileGate::keep(std::span<const float> rgb, const Tile& tile) noexcept {
  for (std::size_t y = tile.top; y < tile.bottom; ++y) {
    const std::size_t begin = y * config_.width * kChannels + tile.first_value;
    std::copy_n(rgb.begin() + static_cast<std::ptrdiff_t>(begin), tile.n_values,
                kept_.begin() + static_cast<std::ptrdiff_t>(begin));
  }
}

void TileGate::count_colours(std::span<const float> rgb) noexcept {
  last_histogram_ = histogram_;
  histogram_.fill(0);
  for (std::size_t i = 0; i < rgb.size(); i += kChannels) {
    const std::size_t red = level(rgb[i], kLevels);
    const std::size_t green = level(rgb[i + 1], kLevels);
    ++histogram_[(red * kLevels + green) * kLevels + level(rgb[i + 2], kLevels)];
  }
}

float TileGate::histogram_distance() const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t bin = 0; bin < histogram_.size(); ++bin) {
    const auto now = static_cast<std::int64_t>(histogram_[bin]);
    sum += static_cast<std::uint64_t>(std::abs(now - last_histogram_[bin]));
  }
  return static_cast<float>(sum) / static_cast<float>(2 * config_.width * config_.height);
}

}  // namespace edgestream
