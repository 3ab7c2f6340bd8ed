// SPDX-License-Identifier: Apache-2.0
#include "core/sound/fft.h"

#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

using Complex = RealFft::Complex;

constexpr std::array<std::size_t, 4> kRadices = {4, 2, 3, 5};

/// exp(-2 pi i index / size); the index is reduced first, which keeps the angle small and exact.
Complex unit_root(std::size_t index, std::size_t size) {
  const double turn = static_cast<double>(index % size) / static_cast<double>(size);
  return {std::cos(2.0 * std::numbers::pi * turn), -std::sin(2.0 * std::numbers::pi * turn)};
}

/// Plain product: std::complex's own tests for NaN on each call, which costs more than the rest.
Complex times(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

Complex times_minus_i(Complex a) { return {a.imag(), -a.real()}; }

// Butterflies: DFT of 2, 3, 4 or 5 values in place.

void butterfly_2(Complex* x) {
  const Complex sum = x[0] + x[1];
  x[1] = x[0] - x[1];
  x[0] = sum;
}

void butterfly_3(Complex* x) {
  constexpr double kSin = 0.86602540378443864676;  // sin(2 pi / 3)
  const Complex sum = x[1] + x[2];
  const Complex turned = kSin * times_minus_i(x[1] - x[2]);
  const Complex middle = x[0] - 0.5 * sum;
  x[0] += sum;
  x[1] = middle + turned;
  x[2] = middle - turned;
}

void butterfly_4(Complex* x) {
  const Complex even_sum = x[0] + x[2];
  const Complex even_difference = x[0] - x[2];
  const Complex odd_sum = x[1] + x[3];
  const Complex odd_turned = times_minus_i(x[1] - x[3]);
  x[0] = even_sum + odd_sum;
  x[1] = even_difference + odd_turned;
  x[2] = even_sum - odd_sum;
  x[3] = even_difference - odd_turned;
}

void butterfly_5(Complex* x) {
  constexpr double kCos1 = 0.30901699437494742410;   // cos(2 pi / 5)
  constexpr double kCos2 = -0.80901699437494742410;  // cos(4 pi / 5)
  constexpr double kSin1 = 0.95105651629515357212;   // sin(2 pi / 5)
  constexpr double kSin2 = 0.58778525229247312917;   // sin(4 pi / 5)
  const Complex outer_sum = x[1] + x[4];
  const Complex inner_sum = x[2] + x[3];
  const Complex outer = times_minus_i(x[1] - x[4]);
  const Complex inner = times_minus_i(x[2] - x[3]);
  const Complex near = x[0] + kCos1 * outer_sum + kCos2 * inner_sum;
  const Complex far = x[0] + kCos2 * outer_sum + kCos1 * inner_sum;
  const Complex near_turned = kSin1 * outer + kSin2 * inner;
  const Complex far_turned = kSin2 * outer - kSin1 * inner;
  x[0] += outer_sum + inner_sum;
  x[1] = near + near_turned;
  x[2] = far + far_turned;
  x[3] = far - far_turned;
  x[4] = near - near_turned;
}

/// One Stockham pass: in [radix][groups][stride] -> out [groups][radix][stride].
template <std::size_t radix, typename Butterfly>
void run_pass(std::size_t groups, std::size_t stride, const Complex* twiddle, const Complex* in,
              Complex* out, Butterfly butterfly) {
  for (std::size_t group = 0; group < groups; ++group, twiddle += radix - 1) {
    for (std::size_t column = 0; column < stride; ++column) {
      Complex x[radix];
      for (std::size_t j = 0; j < radix; ++j) x[j] = in[(j * groups + group) * stride + column];
      butterfly(x);
      Complex* to = out + group * radix * stride + column;
      to[0] = x[0];
      for (std::size_t k = 1; k < radix; ++k) to[k * stride] = times(x[k], twiddle[k - 1]);
    }
  }
}

std::size_t checked_half(int size) {
  int rest = size;
  for (const int factor : {2, 3, 5}) {
    while (rest > 1 && rest % factor == 0) rest /= factor;
  }
  if (size < 2 || size > RealFft::kMaxSize || size % 2 != 0 || rest != 1) {
    throw std::invalid_argument("fft: size is " + std::to_string(size) +
                                "; give an even number up to " + std::to_string(RealFft::kMaxSize) +
                                " with no prime factor above 5, such as 400 or 512");
  }
  return static_cast<std::size_t>(size / 2);
}

}  // namespace

RealFft::RealFft(int size) : half_(checked_half(size)), data_(half_), work_(half_) {
  std::size_t length = half_;
  for (const std::size_t radix : kRadices) {
    for (; length % radix == 0; length /= radix) plan_stage(radix, length, half_ / length);
  }
  for (std::size_t k = 0; k < n_bins(); ++k) unpack_.push_back(unit_root(k, 2 * half_));
}

void RealFft::plan_stage(std::size_t radix, std::size_t length, std::size_t stride) {
  const std::size_t groups = length / radix;
  stages_.push_back({radix, groups, stride, twiddles_.size()});
  for (std::size_t group = 0; group < groups; ++group) {
    for (std::size_t k = 1; k < radix; ++k) twiddles_.push_back(unit_root(group * k, length));
  }
}

void RealFft::transform_half() {
  for (const Stage& stage : stages_) {
    const Complex* twiddle = twiddles_.data() + stage.first_twiddle;
    const auto pass = [&]<std::size_t radix>(auto butterfly) {
      run_pass<radix>(stage.groups, stage.stride, twiddle, data_.data(), work_.data(), butterfly);
    };
    if (stage.radix == 4) pass.operator()<4>(butterfly_4);
    if (stage.radix == 2) pass.operator()<2>(butterfly_2);
    if (stage.radix == 3) pass.operator()<3>(butterfly_3);
    if (stage.radix == 5) pass.operator()<5>(butterfly_5);
    data_.swap(work_);
  }
}

void RealFft::forward(std::span<const double> input, std::span<Complex> spectrum) {
  if (input.size() != size() || spectrum.size() != n_bins()) {
    throw std::invalid_argument("fft: got " + std::to_string(input.size()) + " values and " +
                                std::to_string(spectrum.size()) + " bins, planned for " +
                                std::to_string(size()) + " and " + std::to_string(n_bins()));
  }
  for (std::size_t n = 0; n < half_; ++n) data_[n] = {input[2 * n], input[2 * n + 1]};
  transform_half();
  // The even samples' spectrum is the conjugate-symmetric half, the odd samples' the other one.
  for (std::size_t k = 0; k <= half_; ++k) {
    const Complex packed = data_[k == half_ ? 0 : k];
    const Complex mirrored = std::conj(data_[k == 0 ? 0 : half_ - k]);
    const Complex even = 0.5 * (packed + mirrored);
    const Complex odd = 0.5 * times_minus_i(packed - mirrored);
    spectrum[k] = even + times(unpack_[k], odd);
  }
}

}  // namespace edgestream
