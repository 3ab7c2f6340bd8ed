// SPDX-License-Identifier: Apache-2.0
// Numbers from a manifest that nobody checked: every configuration is either refused with
// std::invalid_argument or served with finite frames. Meant for the sanitizer builds.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <stdexcept>
#include <vector>

#include "core/sound/chunker.h"
#include "core/sound/mel.h"

using edgestream::Chunker;
using edgestream::ChunkerConfig;
using edgestream::LogMel;
using edgestream::LogMelConfig;

namespace {

constexpr int kMelRounds = 2'000;
constexpr int kChunkerRounds = 20'000;
constexpr std::size_t kSamples = 3000;
constexpr long long kServedValues = 1 << 16;  // larger ones are right but slow here

class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}

  int count(int usual) {
    constexpr int kExtremes[] = {std::numeric_limits<int>::min(), -1, 0, 1,
                                 std::numeric_limits<int>::max()};
    if (below(12) == 0) return kExtremes[below(5)];
    return below(usual) + 1;
  }

  double number(double usual) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    constexpr double kExtremes[] = {0.0,   -1.0,      std::numeric_limits<double>::denorm_min(),
                                    1e308, kInfinity, std::numeric_limits<double>::quiet_NaN()};
    if (below(12) == 0) return kExtremes[below(6)];
    return std::uniform_real_distribution<double>(0.0, usual)(random_);
  }

  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }

 private:
  std::mt19937 random_;
};

LogMelConfig draw_mel(Draw& draw) {
  constexpr int kFftSizes[] = {2, 30, 64, 96, 400, 512, 1000};
  LogMelConfig config;
  config.sample_rate_hz = draw.count(48'000);
  config.window_samples = draw.count(400);
  config.hop_samples = draw.count(300);
  config.fft_size = draw.below(4) == 0 ? draw.count(600) : kFftSizes[draw.below(7)];
  config.n_bins = draw.count(100);
  config.min_hz = draw.number(100.0);
  config.max_hz = draw.number(24'000.0);
  config.log_floor = draw.number(1e-3);
  return config;
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

bool serves(const LogMelConfig& config, std::span<const float> samples) {
  LogMel mel(config);
  std::vector<float> frames(mel.frames_after(samples.size()) * mel.n_bins(), NAN);
  mel.push(samples, frames);
  std::vector<float> last(mel.frames_at_finish() * mel.n_bins(), NAN);
  mel.finish(last);
  return all_finite(frames) && all_finite(last);
}

}  // namespace

TEST_CASE("any mel configuration is refused or served") {
  Draw draw(1);
  std::vector<float> samples(kSamples);
  for (float& sample : samples) sample = static_cast<float>(draw.number(1.0) - 0.5);
  int n_served = 0;
  int n_refused = 0;
  for (int round = 0; round < kMelRounds; ++round) {
    try {
      const bool finite = serves(draw_mel(draw), samples);
      CHECK(finite);
      ++n_served;
    } catch (const std::invalid_argument&) {
      ++n_refused;
    }
  }
  CHECK(n_served > 50);
  CHECK(n_refused > 50);
}

TEST_CASE("any chunker configuration is refused or served") {
  Draw draw(2);
  int n_served = 0;
  int n_refused = 0;
  for (int round = 0; round < kChunkerRounds; ++round) {
    const ChunkerConfig config{draw.count(40), draw.count(20), draw.count(16), draw.count(20),
                               -11.5F};
    const long long values =
        (0LL + config.left_frames + config.chunk_frames + config.right_frames) * config.n_bins;
    try {
      if (config.n_bins > 0 && values > kServedValues && values <= Chunker::kMaxChunkValues)
        continue;
      Chunker chunker(config);
      const std::size_t n_frames = static_cast<std::size_t>(draw.below(60));
      const std::vector<float> frames(n_frames * chunker.n_bins(), 1.0F);
      const std::size_t chunk_values = chunker.frames_per_chunk() * chunker.n_bins();
      std::vector<float> chunks(chunker.chunks_after(n_frames) * chunk_values, NAN);
      chunker.push(frames, chunks);
      std::vector<float> last(chunker.chunks_at_finish() * chunk_values, NAN);
      chunker.finish(last);
      CHECK(all_finite(chunks));
      CHECK(all_finite(last));
      ++n_served;
    } catch (const std::invalid_argument&) {
      ++n_refused;
    }
  }
  CHECK(n_served > kChunkerRounds / 4);
  CHECK(n_refused > 50);
}
