// SPDX-License-Identifier: Apache-2.0
#include "core/sound/fft.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <stdexcept>
#include <vector>

using edgestream::RealFft;

namespace {

// Relative to the largest possible bin, sum |x|; double rounding grows with the passes only.
constexpr double kRelativeBound = 4e-16;

std::vector<double> noise(int size, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> draw(-1.0, 1.0);
  std::vector<double> x(static_cast<std::size_t>(size));
  for (double& value : x) value = draw(random);
  return x;
}

/// Bin k straight from the definition, in long double.
RealFft::Complex direct_bin(const std::vector<double>& x, std::size_t k) {
  long double real = 0.0L;
  long double imag = 0.0L;
  for (std::size_t n = 0; n < x.size(); ++n) {
    const long double angle = 2.0L * std::numbers::pi_v<long double> *
                              static_cast<long double>((n * k) % x.size()) /
                              static_cast<long double>(x.size());
    real += x[n] * std::cos(angle);
    imag -= x[n] * std::sin(angle);
  }
  return {static_cast<double>(real), static_cast<double>(imag)};
}

}  // namespace

TEST_CASE("agrees with the definition for every allowed size") {
  for (const int size : {2,  4,  6,  8,  10,  12,  16,  18,  20,  24,  30,  32,   50,  54,
                         60, 64, 90, 96, 128, 150, 200, 256, 400, 480, 512, 1000, 1250}) {
    CAPTURE(size);
    RealFft fft(size);
    const std::vector<double> x = noise(size, static_cast<unsigned>(size));
    std::vector<RealFft::Complex> spectrum(fft.n_bins());
    fft.forward(x, spectrum);
    double worst = 0.0;
    for (std::size_t k = 0; k < spectrum.size(); ++k) {
      worst = std::max(worst, std::abs(spectrum[k] - direct_bin(x, k)));
    }
    CHECK(worst <= kRelativeBound * size);
  }
}

TEST_CASE("a tone on a bin stays in that bin") {
  RealFft fft(512);
  std::vector<double> x(512);
  for (std::size_t n = 0; n < x.size(); ++n) {
    x[n] = std::cos(2.0 * std::numbers::pi * 37.0 * static_cast<double>(n) / 512.0);
  }
  std::vector<RealFft::Complex> spectrum(fft.n_bins());
  fft.forward(x, spectrum);
  for (std::size_t k = 0; k < spectrum.size(); ++k) {
    CHECK(std::abs(spectrum[k]) == doctest::Approx(k == 37 ? 256.0 : 0.0).epsilon(1e-12));
  }
}

TEST_CASE("one plan gives the same bits each time") {
  RealFft fft(480);
  const std::vector<double> x = noise(480, 1);
  std::vector<RealFft::Complex> first(fft.n_bins());
  std::vector<RealFft::Complex> again(fft.n_bins());
  fft.forward(x, first);
  fft.forward(noise(480, 2), again);
  fft.forward(x, again);
  CHECK(first == again);
}

TEST_CASE("other sizes are refused with the way out") {
  for (const int size : {-4, 0, 1, 3, 14, 255, 514, 1 << 21}) {
    CAPTURE(size);
    CHECK_THROWS_AS(RealFft{size}, std::invalid_argument);
  }
  CHECK_THROWS_WITH_AS(RealFft(14),
                       "fft: size is 14; give an even number up to 1048576 with no prime factor "
                       "above 5, such as 400 or 512",
                       std::invalid_argument);
  RealFft fft(8);
  std::vector<double> x(7);
  std::vector<RealFft::Complex> spectrum(5);
  CHECK_THROWS_WITH_AS(fft.forward(x, spectrum),
                       "fft: got 7 values and 5 bins, planned for 8 and 5", std::invalid_argument);
}
