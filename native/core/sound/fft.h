// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <vector>

namespace edgestream {

/// Discrete Fourier transform of real input, planned once for one size; in double precision, so
/// that quiet mel bins beside a loud tone stay exact to float precision.
///
/// A real transform of even size n is a complex one of n/2 (packed pairs) and an unpacking pass.
/// The complex one is Stockham's self-sorting algorithm with radices 4, 2, 3 and 5 (C. Van Loan,
/// "Computational Frameworks for the Fast Fourier Transform", 1992). Nothing is allocated per call.
class RealFft {
 public:
  using Complex = std::complex<double>;

  static constexpr int kMaxSize = 1 << 20;

  /// `size` is even, at most kMaxSize, and has no prime factor above 5; throws
  /// std::invalid_argument otherwise.
  explicit RealFft(int size);

  /// spectrum[k] = sum over n of input[n] exp(-2 pi i k n / size), k = 0..size/2.
  /// Shapes: input [size], spectrum [n_bins()]; throws std::invalid_argument on others.
  void forward(std::span<const double> input, std::span<Complex> spectrum);

  [[nodiscard]] std::size_t size() const noexcept { return 2 * half_; }
  [[nodiscard]] std::size_t n_bins() const noexcept { return half_ + 1; }

 private:
  /// One pass over the data: `groups` butterflies of `radix`, each for `stride` columns.
  struct Stage {
    std::size_t radix;
    std::size_t groups;
    std::size_t stride;
    std::size_t first_twiddle;  // twiddles_[first_twiddle + p * (radix - 1) + (k - 1)]
  };

  void plan_stage(std::size_t radix, std::size_t length, std::size_t stride);
  void transform_half();

  std::size_t half_;  // size of the complex transform
  std::vector<Stage> stages_;
  std::vector<Complex> twiddles_;  // of all stages
  std::vector<Complex> unpack_;    // [n_bins] exp(-2 pi i k / size)
  std::vector<Complex> data_;      // [half_] input and result of the complex transform
  std::vector<Complex> work_;      // [half_] the other side of each pass
};

}  // namespace edgestream
