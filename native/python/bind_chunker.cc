// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>

#include "core/sound/chunker.h"
#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::Chunker;
using FramesIn = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Chunks = OwnedArray<float, 3>;

Chunks::Array push(Chunker& chunker, const FramesIn& frames) {
  if (frames.shape(1) != chunker.n_bins()) {
    throw std::invalid_argument("chunker: got frames of " + std::to_string(frames.shape(1)) +
                                " bins, this chunker takes " + std::to_string(chunker.n_bins()));
  }
  Chunks chunks(
      {chunker.chunks_after(frames.shape(0)), chunker.frames_per_chunk(), chunker.n_bins()});
  chunker.push({frames.data(), frames.size()}, chunks.values());
  return chunks.release();
}

Chunks::Array finish(Chunker& chunker) {
  Chunks chunks({chunker.chunks_at_finish(), chunker.frames_per_chunk(), chunker.n_bins()});
  chunker.finish(chunks.values());
  return chunks.release();
}

}  // namespace

void bind_chunker(nb::module_& m) {
  nb::class_<Chunker>(m, "Chunker", "Cuts a stream of frames into overlapping encoder chunks.")
      .def(
          "__init__",
          [](Chunker* self, int n_bins, int left_frames, int chunk_frames, int right_frames,
             float pad_value) {
            new (self) Chunker({n_bins, left_frames, chunk_frames, right_frames, pad_value});
          },
          "n_bins"_a, "left_frames"_a, "chunk_frames"_a, "right_frames"_a,
          "pad_value"_a = edgestream::ChunkerConfig{}.pad_value,
          "pad_value stands for frames before the first and after the last, e.g. the mel's "
          "silence_value.")
      .def("push", &push, nb::arg("frames").noconvert(),
           "Takes float32 [n, n_bins]; returns complete chunks, float32 [chunks, left + chunk + "
           "right, n_bins].")
      .def("finish", &finish, "Ends the stream; returns the chunks that padding completes.")
      .def("reset", &Chunker::reset, "Back to the start of a stream.")
      .def_prop_ro("n_bins", &Chunker::n_bins);
}
