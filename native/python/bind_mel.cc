// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "core/sound/mel.h"
#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::LogMel;
using edgestream::LogMelConfig;
using edgestream::MelScale;
using Samples = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Frames = OwnedArray<float, 2>;

Frames::Array push(LogMel& mel, const Samples& samples) {
  Frames frames({mel.frames_after(samples.size()), mel.n_bins()});
  {
    nb::gil_scoped_release release;
    mel.push({samples.data(), samples.size()}, frames.values());
  }
  return frames.release();
}

Frames::Array finish(LogMel& mel) {
  Frames frames({mel.frames_at_finish(), mel.n_bins()});
  mel.finish(frames.values());
  return frames.release();
}

}  // namespace

void bind_mel(nb::module_& m) {
  const LogMelConfig defaults;
  nb::enum_<MelScale>(m, "MelScale", "Scale of the filters and kind of the logarithm.")
      .value("htk", MelScale::kHtk, "ln(power + log_floor), filters of sum 1")
      .value("slaney", MelScale::kSlaney, "log10(max(power, log_floor)), filters of area 1 in Hz");
  nb::class_<LogMel>(m, "LogMel",
                     "Causal log-mel frames of a sample stream, made as samples arrive. One thread "
                     "at a time.")
      .def(
          "__init__",
          [](LogMel* self, int sample_rate_hz, int window_samples, int hop_samples, int fft_size,
             int n_bins, double min_hz, double max_hz, double log_floor, MelScale scale) {
            new (self) LogMel({sample_rate_hz, window_samples, hop_samples, fft_size, n_bins,
                               min_hz, max_hz, log_floor, scale});
          },
          "sample_rate_hz"_a = defaults.sample_rate_hz,
          "window_samples"_a = defaults.window_samples, "hop_samples"_a = defaults.hop_samples,
          "fft_size"_a = defaults.fft_size, "n_bins"_a = defaults.n_bins,
          "min_hz"_a = defaults.min_hz, "max_hz"_a = defaults.max_hz,
          "log_floor"_a = defaults.log_floor, "scale"_a = defaults.scale,
          "Raises ValueError, with the number and its range, on what cannot be served.")
      .def("push", &push, nb::arg("samples").noconvert(),
           "Takes float32 [n]; returns the frames that it completes, float32 [frames, n_bins].")
      .def("finish", &finish,
           "Ends the stream; returns the last frame, float32 [0 or 1, n_bins], filled with zeros.")
      .def("reset", &LogMel::reset, "Back to the start of a stream.")
      .def_prop_ro("n_bins", &LogMel::n_bins)
      .def_prop_ro("silence_value", &LogMel::silence_value, "Value of every bin in silence.")
      .def_prop_ro("nonfinite_samples", &LogMel::nonfinite_samples,
                   "NaN or infinite samples since the start; they count as 0.");
}
