// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edgestream {

/// Which tiles of a picture count as changed. The defaults suit an 8-bit camera: its noise,
/// averaged over a tile, stays well below them.
struct TileGateConfig {
  std::size_t width = 96;  // of the pictures, in pixels
  std::size_t height = 72;
  std::size_t tile_px = 8;           // side; tiles at the right and lower edge may be smaller
  float min_difference = 0.02F;      // mean |difference| of a tile's values, which are in [0, 1]
  float min_shot_share = 0.5F;       // of the tiles that a shot change must change
  float min_shot_histogram = 0.25F;  // and the least distance between its histograms, 0 to 1
};

/// What a picture brought.
struct TileChange {
  std::size_t n_kept = 0;
  bool shot_change = false;
};

/// The part of each picture that is worth encoding: tiles that differ from what was kept of them.
///
/// A tile is dropped while it is close to the last tile *kept* at its place, not to the last
/// picture, so that slow drift adds up until it is seen (TimeChat-Online, arXiv 2504.17343). All
/// tiles of the first picture are kept. A shot change is a valley of the drop ratio, as there, in
/// which the colours of the whole picture changed too: half the L1 distance of its 4 x 4 x 4 RGB
/// histogram to the previous picture's (Zhang, Kankanhalli and Smoliar, "Automatic partitioning of
/// full-motion video", 1993), which motion within the picture hardly moves.
///
/// Allocates nothing after construction. One thread at a time.
class TileGate {
 public:
  /// Throws std::invalid_argument when a number of `config` cannot be served.
  explicit TileGate(const TileGateConfig& config);

  /// Takes `rgb` [height, width, 3] and writes to `kept` [tiles_high, tiles_wide] 1 for each tile
  /// that is kept, else 0. Values that are not finite are taken as a change. Throws
  /// std::invalid_argument when a span has another size.
  TileChange push(std::span<const float> rgb, std::span<std::uint8_t> kept);

  /// Back to the start of a stream: the next picture is a first one, all counts are 0.
  void reset() noexcept;

  [[nodiscard]] std::size_t tiles_wide() const noexcept { return tiles_wide_; }
  [[nodiscard]] std::size_t tiles_high() const noexcept { return tiles_high_; }
  [[nodiscard]] std::int64_t pictures() const noexcept { return pictures_; }
  /// Share of all tiles since the start that were dropped; 0 before the first picture.
  [[nodiscard]] double drop_ratio() const noexcept;
  [[nodiscard]] const TileGateConfig& config() const noexcept { return config_; }

 private:
  static constexpr std::size_t kLevels = 4;  // of a colour in the histogram
  using Histogram = std::array<std::uint32_t, kLevels * kLevels * kLevels>;

  struct Tile {
    std::size_t top;
    std::size_t bottom;
    std::size_t first_value;  // within a row
    std::size_t n_values;
  };

  [[nodiscard]] Tile tile(std::size_t row, std::size_t column) const noexcept;
  [[nodiscard]] bool changed(std::span<const float> rgb, const Tile& tile) const noexcept;
  void keep(std::span<const float> rgb, const Tile& tile) noexcept;
  void count_colours(std::span<const float> rgb) noexcept;
  [[nodiscard]] float histogram_distance() const noexcept;

  TileGateConfig config_;
  std::size_t tiles_wide_;
  std::size_t tiles_high_;
  std::vector<float> kept_;  // [height, width, 3], each tile from the picture that it was kept of
  Histogram histogram_{};
  Histogram last_histogram_{};
  std::int64_t pictures_ = 0;
  std::int64_t kept_tiles_ = 0;
};

}  // namespace edgestream
