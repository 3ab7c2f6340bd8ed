// SPDX-License-Identifier: Apache-2.0
// What the default log-mel costs: median and 95th percentile over repeats, in microseconds per
// frame and as a share of one core in real time. Blocks of 10 ms, warm-up excluded. Not measured:
// cold caches between blocks.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "core/sound/mel.h"

namespace {

constexpr int kRepeats = 41;
constexpr int kWarmUps = 5;
constexpr int kBlocks = 500;  // 5 s of audio

double seconds_for_stream(edgestream::LogMel& mel, const std::vector<float>& block,
                          std::vector<float>& frame) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kBlocks; ++i) mel.push(block, frame);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main() {
  const edgestream::LogMelConfig config;
  edgestream::LogMel mel(config);
  std::mt19937 random(1);
  std::normal_distribution<float> noise(0.0F, 0.1F);
  std::vector<float> block(static_cast<std::size_t>(config.hop_samples));
  for (float& sample : block) sample = noise(random);
  std::vector<float> frame(mel.n_bins());

  for (int i = 0; i < kWarmUps; ++i) seconds_for_stream(mel, block, frame);
  std::vector<double> seconds;
  for (int i = 0; i < kRepeats; ++i) seconds.push_back(seconds_for_stream(mel, block, frame));
  std::sort(seconds.begin(), seconds.end());

  const double audio_s = static_cast<double>(kBlocks) * config.hop_samples / config.sample_rate_hz;
  const auto print = [&](const char* name, double s) {
    std::printf("%s %.2f us/frame, %.4f%% of a core\n", name, s * 1e6 / kBlocks,
                100.0 * s / audio_s);
  };
  print("p50", seconds[seconds.size() / 2]);
  print("p95", seconds[seconds.size() * 95 / 100]);
}
