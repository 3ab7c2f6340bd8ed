// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edgestream {

/// Where one axis of a picture is read: each output index is a weighted mean of neighbouring
/// inputs.
///
/// An axis that shrinks is averaged by area: output i covers [i s, (i + 1) s) of the input, with
/// s = n_in / n_out, so that no input is left out and noise is averaged away. An axis that grows is
/// bilinear: output i reads at (i + 0.5) s - 0.5, held at the edges.
class ResizeAxis {
 public:
  struct Taps {
    std::size_t first;  // input index of the first weight
    std::span<const float> weights;
  };

  explicit ResizeAxis(std::size_t n_out);

  /// Prepares for inputs of length `n_in`; nothing to do when it is the length of the last time.
  void fit(std::size_t n_in);
  [[nodiscard]] Taps taps(std::size_t out) const noexcept;

 private:
  struct Output {
    std::size_t first_input;
    std::size_t first_weight;
    std::size_t n_weights;
  };

  void add_area(double begin, double end);
  void add_bilinear(double at, std::size_t n_in);

  std::size_t n_in_ = 0;
  std::vector<Output> outputs_;  // [n_out]
  std::vector<float> weights_;   // of all outputs
};

/// RGB pictures of any size, made into pictures of one small size with values in [0, 1].
///
/// Each axis by itself as in ResizeAxis; the aspect ratio is not kept. A picture's result depends
/// on no other picture. After the first picture of a size nothing is allocated for more of that
/// size. One thread at a time.
class PictureResizer {
 public:
  static constexpr std::size_t kMaxSide = 1 << 15;     // of an input, in pixels
  static constexpr std::size_t kMaxOutSide = 1 << 12;  // of the output

  /// Throws std::invalid_argument when a side is not between 1 and kMaxOutSide.
  PictureResizer(std::size_t width, std::size_t height);

  /// Takes `rgb` [height, width, 3] and writes `out` [this height, this width, 3]. Throws
  /// std::invalid_argument when a side is not between 1 and kMaxSide or a span has another size.
  void push(std::span<const std::uint8_t> rgb, std::size_t width, std::size_t height,
            std::span<float> out);

  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::size_t height() const noexcept { return height_; }

 private:
  void mix_rows(std::span<const std::uint8_t> rgb, const ResizeAxis::Taps& rows);
  void mix_columns(std::span<float> out_row) const;

  std::size_t width_;
  std::size_t height_;
  ResizeAxis columns_;
  ResizeAxis rows_;
  std::vector<float> mixed_;  // [input width, 3]: the input rows of one output row
};

}  // namespace edgestream
