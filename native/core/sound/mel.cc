// SPDX-License-Identifier: Apache-2.0
#include "core/sound/mel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <stdexcept>
#include <string>

namespace edgestream {
namespace {

// A filter whose weights sum to less has no FFT bin of its own.
constexpr double kEmptyFilterSum = 1e-3;
constexpr int kMaxSpanSamples = 1 << 20;
constexpr int kMaxBins = 1 << 12;

double htk_mel(double hz) { return 2595.0 * std::log10(1.0 + hz / 700.0); }
double htk_hz(double mel) { return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0); }

// Linear to 1 kHz, which is mel 15; above it 27 mel to a factor of 6.4.
constexpr double kLinearHz = 200.0 / 3.0;
constexpr double kLogFromHz = 1000.0;
constexpr double kLogFromMel = 15.0;
const double kLogStep = std::log(6.4) / 27.0;

double slaney_mel(double hz) {
  return hz < kLogFromHz ? hz / kLinearHz : kLogFromMel + std::log(hz / kLogFromHz) / kLogStep;
}
double slaney_hz(double mel) {
  return mel < kLogFromMel ? mel * kLinearHz
                           : kLogFromHz * std::exp((mel - kLogFromMel) * kLogStep);
}

/// |x|^2; std::norm goes through a square root and back without -ffast-math.
double power_of(RealFft::Complex x) { return x.real() * x.real() + x.imag() * x.imag(); }

std::string text(double number) {
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%g", number);
  return buffer.data();
}

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument("mel: " + what); }

void expect_between(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return;
  refuse(std::string(name) + " is " + std::to_string(value) + "; give " + std::to_string(low) +
         " to " + std::to_string(high));
}

const LogMelConfig& checked(const LogMelConfig& config) {
  expect_between("sample_rate_hz", config.sample_rate_hz, 1, 10'000'000);
  expect_between("window_samples", config.window_samples, 1, kMaxSpanSamples);
  expect_between("hop_samples", config.hop_samples, 1, kMaxSpanSamples);
  expect_between("fft_size", config.fft_size, config.window_samples, RealFft::kMaxSize);
  expect_between("n_bins", config.n_bins, 1, kMaxBins);
  const double nyquist_hz = 0.5 * config.sample_rate_hz;
  // Written so that NaN is refused too.
  if (!(config.min_hz >= 0.0 && config.min_hz < config.max_hz && config.max_hz <= nyquist_hz)) {
    refuse("band is " + text(config.min_hz) + " to " + text(config.max_hz) +
           " Hz; give a rising band within 0 to " + text(nyquist_hz) + " Hz");
  }
  if (!(config.log_floor > 0.0 && std::isfinite(config.log_floor))) {
    refuse("log_floor is " + text(config.log_floor) + "; give a power above 0");
  }
  return config;
}

std::vector<double> periodic_hann(int size) {
  std::vector<double> window;
  for (int n = 0; n < size; ++n) {
    window.push_back(0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * n / size));
  }
  return window;
}

}  // namespace

LogMel::LogMel(const LogMelConfig& config)
    : config_(checked(config)),
      fft_(config.fft_size),
      window_(periodic_hann(config.window_samples)),
      history_(static_cast<std::size_t>(std::max(config.window_samples, config.hop_samples))),
      padded_(fft_.size()),
      spectrum_(fft_.n_bins()),
      power_(fft_.n_bins()) {
  const bool slaney = config.scale == MelScale::kSlaney;
  const auto hz_to_mel = slaney ? slaney_mel : htk_mel;
  const auto mel_to_hz = slaney ? slaney_hz : htk_hz;
  const double low_mel = hz_to_mel(config.min_hz);
  const double step_mel = (hz_to_mel(config.max_hz) - low_mel) / (config.n_bins + 1);
  for (int bin = 0; bin < config.n_bins; ++bin) {
    add_filter(mel_to_hz(low_mel + bin * step_mel), mel_to_hz(low_mel + (bin + 1) * step_mel),
               mel_to_hz(low_mel + (bin + 2) * step_mel));
  }
}

void LogMel::add_filter(double low_hz, double centre_hz, double high_hz) {
  const double hz_per_bin = static_cast<double>(config_.sample_rate_hz) / config_.fft_size;
  Filter filter{0, weights_.size(), 0};
  double sum = 0.0;
  for (std::size_t bin = 0; bin < fft_.n_bins(); ++bin) {
    const double hz = static_cast<double>(bin) * hz_per_bin;
    const double weight =
        std::min((hz - low_hz) / (centre_hz - low_hz), (high_hz - hz) / (high_hz - centre_hz));
    if (!(weight > 0.0)) continue;  // NaN where two corners fall together
    if (filter.n_weights == 0) filter.first_fft_bin = bin;
    weights_.push_back(weight);
    ++filter.n_weights;
    sum += weight;
  }
  if (config_.scale == MelScale::kSlaney) {
    sum = 0.5 * (high_hz - low_hz);  // the triangle's area
  } else if (sum < kEmptyFilterSum) {
    // nearbyint rounds halves to even, as the training code's rounding does.
    filter.first_fft_bin = static_cast<std::size_t>(std::nearbyint(centre_hz / hz_per_bin));
    weights_.resize(filter.first_weight);
    weights_.push_back(1.0);
    filter.n_weights = 1;
    sum = 1.0;
  }
  for (std::size_t i = filter.first_weight; i < weights_.size(); ++i) weights_[i] /= sum;
  filters_.push_back(filter);
}

std::size_t LogMel::frames_after(std::size_t n_samples) const noexcept {
  return (n_fresh_ + n_samples) / static_cast<std::size_t>(config_.hop_samples);
}

void LogMel::push(std::span<const float> samples, std::span<float> frames) {
  if (finished_) throw std::runtime_error("mel: push after finish; call reset first");
  expect_room(frames_after(samples.size()), frames);
  for (const float sample : samples) {
    add_sample(sample);
    if (n_fresh_ < static_cast<std::size_t>(config_.hop_samples)) continue;
    complete_frame(frames.first(n_bins()));
    frames = frames.subspan(n_bins());
  }
}

void LogMel::finish(std::span<float> frames) {
  expect_room(frames_at_finish(), frames);
  finished_ = true;
  if (n_fresh_ == 0) return;
  while (n_fresh_ < static_cast<std::size_t>(config_.hop_samples)) add_sample(0.0F);
  complete_frame(frames);
}

void LogMel::reset() noexcept {
  std::fill(history_.begin(), history_.end(), 0.0);
  n_fresh_ = 0;
  finished_ = false;
  nonfinite_samples_ = 0;
}

float LogMel::silence_value() const noexcept { return static_cast<float>(logarithm(0.0)); }

double LogMel::logarithm(double power) const noexcept {
  if (config_.scale == MelScale::kHtk) return std::log(power + config_.log_floor);
  return std::log10(std::max(power, config_.log_floor));
}

void LogMel::expect_room(std::size_t n_frames, std::span<const float> frames) const {
  if (frames.size() == n_frames * n_bins()) return;
  refuse("room for " + std::to_string(frames.size()) + " values, need " + std::to_string(n_frames) +
         " frames of " + std::to_string(n_bins()) + " bins");
}

void LogMel::add_sample(float sample) noexcept {
  if (!std::isfinite(sample)) {
    sample = 0.0F;
    ++nonfinite_samples_;
  }
  const std::size_t hop = static_cast<std::size_t>(config_.hop_samples);
  history_[history_.size() - hop + n_fresh_] = static_cast<double>(sample);
  ++n_fresh_;
}

void LogMel::complete_frame(std::span<float> frame) {
  const std::size_t first = history_.size() - window_.size();
  for (std::size_t i = 0; i < window_.size(); ++i) padded_[i] = window_[i] * history_[first + i];
  fft_.forward(padded_, spectrum_);
  for (std::size_t bin = 0; bin < power_.size(); ++bin) power_[bin] = power_of(spectrum_[bin]);
  for (std::size_t row = 0; row < filters_.size(); ++row) {
    const Filter& filter = filters_[row];
    double sum = 0.0;
    for (std::size_t i = 0; i < filter.n_weights; ++i) {
      sum += weights_[filter.first_weight + i] * power_[filter.first_fft_bin + i];
    }
    frame[row] = static_cast<float>(logarithm(sum));
  }
  std::copy(history_.begin() + config_.hop_samples, history_.end(), history_.begin());
  n_fresh_ = 0;
}

}  // namespace edgestream
