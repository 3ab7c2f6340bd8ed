// SPDX-License-Identifier: Apache-2.0
#include "core/sound/mel.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

using edgestream::LogMel;
using edgestream::LogMelConfig;

namespace {

std::vector<float> push(LogMel& mel, std::span<const float> samples) {
  std::vector<float> frames(mel.frames_after(samples.size()) * mel.n_bins(), NAN);
  mel.push(samples, frames);
  return frames;
}

std::vector<float> finish(LogMel& mel) {
  std::vector<float> frames(mel.frames_at_finish() * mel.n_bins(), NAN);
  mel.finish(frames);
  return frames;
}

void append(std::vector<float>& to, const std::vector<float>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<float> whole(const LogMelConfig& config, std::span<const float> samples) {
  LogMel mel(config);
  std::vector<float> frames = push(mel, samples);
  append(frames, finish(mel));
  return frames;
}

std::vector<float> noise(std::size_t n, unsigned seed, float amplitude = 0.3F) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> draw(-amplitude, amplitude);
  std::vector<float> samples(n);
  for (float& sample : samples) sample = draw(random);
  return samples;
}

/// |DFT(hann * x)|^2 of the samples before `end`, bin by bin from the definition.
std::vector<double> direct_power(const LogMelConfig& config, std::span<const float> samples,
                                 int end) {
  std::vector<double> power;
  for (int bin = 0; bin <= config.fft_size / 2; ++bin) {
    double real = 0.0;
    double imag = 0.0;
    for (int n = 0; n < config.window_samples; ++n) {
      const int at = end - config.window_samples + n;
      if (at < 0 || at >= static_cast<int>(samples.size())) continue;
      const double hann = std::pow(std::sin(std::numbers::pi * n / config.window_samples), 2);
      const double angle = 2.0 * std::numbers::pi * ((bin * n) % config.fft_size) / config.fft_size;
      real += hann * samples[static_cast<std::size_t>(at)] * std::cos(angle);
      imag -= hann * samples[static_cast<std::size_t>(at)] * std::sin(angle);
    }
    power.push_back(real * real + imag * imag);
  }
  return power;
}

/// One frame from the definition, with a dense filterbank.
std::vector<double> direct_frame(const LogMelConfig& config, std::span<const float> samples,
                                 int frame) {
  const std::vector<double> power = direct_power(config, samples, (frame + 1) * config.hop_samples);
  const auto mel = [](double hz) { return 2595.0 * std::log10(1.0 + hz / 700.0); };
  const auto corner_hz = [&](int i) {
    const double step = (mel(config.max_hz) - mel(config.min_hz)) / (config.n_bins + 1);
    return 700.0 * (std::pow(10.0, (mel(config.min_hz) + i * step) / 2595.0) - 1.0);
  };
  const double hz_per_bin = static_cast<double>(config.sample_rate_hz) / config.fft_size;
  std::vector<double> bins;
  for (int row = 0; row < config.n_bins; ++row) {
    const double low = corner_hz(row);
    const double centre = corner_hz(row + 1);
    const double high = corner_hz(row + 2);
    double sum = 0.0;
    double weighted = 0.0;
    for (std::size_t bin = 0; bin < power.size(); ++bin) {
      const double hz = static_cast<double>(bin) * hz_per_bin;
      const double rise = (hz - low) / (centre - low);
      const double fall = (high - hz) / (high - centre);
      const double weight = std::max(0.0, std::min(rise, fall));
      sum += weight;
      weighted += weight * power[bin];
    }
    const auto nearest = static_cast<std::size_t>(std::nearbyint(centre / hz_per_bin));
    bins.push_back(std::log((sum < 1e-3 ? power[nearest] : weighted / sum) + config.log_floor));
  }
  return bins;
}

LogMelConfig with(int window, int hop, int fft_size, int n_bins) {
  LogMelConfig config;
  config.window_samples = window;
  config.hop_samples = hop;
  config.fft_size = fft_size;
  config.n_bins = n_bins;
  return config;
}

const std::vector<LogMelConfig>& configs() {
  static const std::vector<LogMelConfig> all = {
      {},                       // the default model
      with(400, 160, 400, 80),  // no padding, mixed radix
      with(25, 10, 30, 5),      // sizes that are no power of two
      with(64, 100, 64, 12),    // a hop longer than the window
      with(1, 1, 2, 1),         // the smallest
      with(320, 320, 512, 128)  // more bins than the low band has FFT bins for
  };
  return all;
}

}  // namespace

TEST_CASE("agrees with the definition within 1e-5") {
  for (const LogMelConfig& config : configs()) {
    CAPTURE(config.window_samples);
    CAPTURE(config.n_bins);
    const std::vector<float> samples =
        noise(static_cast<std::size_t>(5 * config.hop_samples + config.window_samples + 3), 11);
    const std::vector<float> frames = whole(config, samples);
    const auto n_bins = static_cast<std::size_t>(config.n_bins);
    double worst = 0.0;
    for (std::size_t frame = 0; frame < frames.size() / n_bins; ++frame) {
      const std::vector<double> expected = direct_frame(config, samples, static_cast<int>(frame));
      for (std::size_t bin = 0; bin < n_bins; ++bin) {
        worst = std::max(worst, std::abs(frames[frame * n_bins + bin] - expected[bin]));
      }
    }
    CHECK(frames.size() / n_bins >= 6);
    CHECK(worst <= 1e-5);
  }
}

TEST_CASE("any cutting gives the same bits") {
  std::mt19937 random(5);
  for (const LogMelConfig& config : configs()) {
    CAPTURE(config.window_samples);
    const std::vector<float> samples = noise(4001, 12);
    const std::vector<float> expected = whole(config, samples);
    for (const int longest : {1, 17, 163, 509, 4001}) {
      CAPTURE(longest);
      LogMel mel(config);
      std::vector<float> frames;
      for (std::size_t at = 0; at < samples.size();) {
        const auto draw = static_cast<std::size_t>(
            std::uniform_int_distribution<int>(longest == 1 ? 1 : 0, longest)(random));
        const std::size_t n = std::min(draw, samples.size() - at);
        append(frames, push(mel, std::span(samples).subspan(at, n)));
        at += n;
      }
      append(frames, finish(mel));
      CHECK(frames == expected);
    }
  }
}

TEST_CASE("frames depend on earlier samples only") {
  const std::vector<float> samples = noise(3200, 13);
  std::vector<float> changed = samples;
  for (std::size_t i = 1600; i < changed.size(); ++i) changed[i] = -changed[i] + 0.1F;
  const std::vector<float> a = whole({}, samples);
  const std::vector<float> b = whole({}, changed);
  const std::ptrdiff_t unchanged = 10 * 80;  // frames that end at or before sample 1600
  CHECK(std::equal(a.begin(), a.begin() + unchanged, b.begin()));
  CHECK(!std::equal(a.begin() + unchanged, a.begin() + unchanged + 80, b.begin() + unchanged));
}

TEST_CASE("silence is the floor, and finish completes a started hop with zeros") {
  LogMel mel({});
  CHECK(mel.silence_value() == doctest::Approx(std::log(1e-5)));
  for (const float value : push(mel, std::vector<float>(1600))) CHECK(value == mel.silence_value());
  CHECK(finish(mel).empty());

  std::vector<float> samples = noise(165, 14);
  const std::vector<float> short_stream = whole({}, samples);
  samples.resize(320, 0.0F);
  CHECK(short_stream == whole({}, samples));
}

TEST_CASE("samples that are not finite count as zero and are counted") {
  std::vector<float> samples = noise(800, 15);
  std::vector<float> clean = samples;
  for (const std::size_t at : {3U, 170U, 799U}) clean[at] = 0.0F;
  samples[3] = std::numeric_limits<float>::quiet_NaN();
  samples[170] = std::numeric_limits<float>::infinity();
  samples[799] = -std::numeric_limits<float>::infinity();
  LogMel mel({});
  CHECK(push(mel, samples) == whole({}, clean));
  CHECK(mel.nonfinite_samples() == 3);
  mel.reset();
  CHECK(mel.nonfinite_samples() == 0);
}

TEST_CASE("the largest finite samples give finite frames") {
  const std::vector<float> samples(800, std::numeric_limits<float>::max());
  for (const float value : whole({}, samples)) CHECK(std::isfinite(value));
}

TEST_CASE("reset begins a new stream") {
  const std::vector<float> samples = noise(1000, 16);
  LogMel mel({});
  push(mel, noise(1234, 17));
  finish(mel);
  CHECK_THROWS_WITH_AS(push(mel, samples), "mel: push after finish; call reset first",
                       std::runtime_error);
  mel.reset();
  std::vector<float> frames = push(mel, samples);
  append(frames, finish(mel));
  CHECK(frames == whole({}, samples));
}

TEST_CASE("what cannot be served is refused with its numbers") {
  const auto message = [](const LogMelConfig& config) -> std::string {
    try {
      LogMel mel(config);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(message(with(600, 160, 512, 80)) == "mel: fft_size is 512; give 600 to 1048576");
  CHECK(message(with(400, 0, 512, 80)) == "mel: hop_samples is 0; give 1 to 1048576");
  CHECK(message(with(400, 160, 512, 0)) == "mel: n_bins is 0; give 1 to 4096");
  CHECK(message(with(400, 160, 514, 80)).starts_with("fft: size is 514"));
  LogMelConfig config;
  config.max_hz = 9000.0;
  CHECK(message(config) == "mel: band is 20 to 9000 Hz; give a rising band within 0 to 8000 Hz");
  config.max_hz = std::numeric_limits<double>::quiet_NaN();
  CHECK(message(config).starts_with("mel: band is"));
  config = {};
  config.log_floor = 0.0;
  CHECK(message(config) == "mel: log_floor is 0; give a power above 0");

  LogMel mel({});
  std::vector<float> room(80);
  CHECK_THROWS_WITH_AS(mel.push(std::vector<float>(320), room),
                       "mel: room for 80 values, need 2 frames of 80 bins", std::invalid_argument);
}
