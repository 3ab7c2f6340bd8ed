// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/sound/fft.h"

namespace edgestream {

/// Which log-mel: of the two in use they share window and transform alone.
enum class MelScale {
  kHtk,    ///< triangles on 2595 log10(1 + f / 700), each of sum 1; ln(power + log_floor)
  kSlaney  ///< triangles on Slaney's scale, each of area 1 in Hz; log10(max(power, log_floor))
};

/// How samples become log-mel frames. The defaults are those of the default caption model.
struct LogMelConfig {
  int sample_rate_hz = 16000;
  int window_samples = 400;  // periodic Hann
  int hop_samples = 160;
  int fft_size = 512;  // the window is padded to it with zeros; sizes as in RealFft
  int n_bins = 80;
  double min_hz = 20.0;
  double max_hz = 7600.0;
  double log_floor = 1e-5;  // the power that silence has
  MelScale scale = MelScale::kHtk;
};

/// Log-mel frames of a sample stream, made as the samples arrive.
///
/// frame[i][b] = ln(sum_f filter[b][f] |DFT(hann * x_i)[f]|^2 + log_floor), where x_i are the
/// `window_samples` samples before sample (i + 1) * hop_samples, zeros in front of the stream:
/// frame i sees no later sample (causal framing). The filters are triangles on the HTK mel scale
/// 2595 log10(1 + f / 700) (Young et al., "The HTK Book"), each scaled to sum 1; a triangle too
/// narrow to hold an FFT bin becomes the bin nearest to its centre. MelScale::kSlaney is that of
/// librosa and Whisper instead (Slaney 1998, "Auditory Toolbox"): linear below 1 kHz, logarithmic
/// above, log10 and a floor that is not added.
///
/// Computed in double, rounded to float once: any cutting of the samples gives the same bits.
/// A sample that is not finite counts as 0 and is counted. Allocates nothing after construction.
/// One thread at a time.
class LogMel {
 public:
  /// Throws std::invalid_argument when a number of `config` cannot be served.
  explicit LogMel(const LogMelConfig& config);

  /// Frames that pushing `n_samples` more will complete.
  [[nodiscard]] std::size_t frames_after(std::size_t n_samples) const noexcept;

  /// Takes samples [n] in [-1, 1] and writes frames [frames_after(n), n_bins], row by row.
  /// Throws std::invalid_argument when `frames` has another size, std::runtime_error after finish.
  void push(std::span<const float> samples, std::span<float> frames);

  /// Frames that finish() will complete: 1 while samples wait for the end of a hop, else 0.
  [[nodiscard]] std::size_t frames_at_finish() const noexcept { return n_fresh_ > 0 ? 1 : 0; }

  /// Ends the stream: waiting samples are followed by zeros up to the end of their hop; writes
  /// frames [frames_at_finish(), n_bins]. Throws as push does on another size.
  void finish(std::span<float> frames);

  /// Back to the start of a stream; forgets all samples and counts.
  void reset() noexcept;

  /// Value of every bin in silence, the logarithm of log_floor: what padding in front of a stream
  /// should hold.
  [[nodiscard]] float silence_value() const noexcept;

  [[nodiscard]] std::size_t n_bins() const noexcept { return filters_.size(); }
  /// Samples since the start of the stream that were NaN or infinite and were taken as 0.
  [[nodiscard]] std::int64_t nonfinite_samples() const noexcept { return nonfinite_samples_; }

 private:
  /// The non-zero part of one row of the filterbank.
  struct Filter {
    std::size_t first_fft_bin;
    std::size_t first_weight;  // in weights_
    std::size_t n_weights;
  };

  void add_filter(double low_hz, double centre_hz, double high_hz);
  void expect_room(std::size_t n_frames, std::span<const float> frames) const;
  void add_sample(float sample) noexcept;
  void complete_frame(std::span<float> frame);
  double logarithm(double power) const noexcept;

  LogMelConfig config_;
  RealFft fft_;
  std::vector<double> window_;   // [window_samples]
  std::vector<Filter> filters_;  // [n_bins]
  std::vector<double> weights_;  // of all filters

  std::vector<double> history_;  // [max(window, hop)] latest samples, the fresh ones last
  std::size_t n_fresh_ = 0;      // samples of the hop that is not complete
  bool finished_ = false;
  std::int64_t nonfinite_samples_ = 0;

  std::vector<double> padded_;              // [fft_size] windowed samples, then zeros
  std::vector<RealFft::Complex> spectrum_;  // [fft_size / 2 + 1]
  std::vector<double> power_;               // [fft_size / 2 + 1]
};

}  // namespace edgestream
