// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "core/sound/sample_ring.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::SampleRing;
using Samples = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Room = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The GIL stays held in both: they copy for microseconds, and giving it up would let the
// audio callback wait for it.
size_t ring_write(SampleRing& ring, const Samples& samples) {
  return ring.write({samples.data(), samples.size()});
}

size_t ring_read(SampleRing& ring, const Room& out) { return ring.read({out.data(), out.size()}); }

}  // namespace

void bind_sample_ring(nb::module_& m) {
  nb::class_<SampleRing>(m, "SampleRing",
                         "Lock-free ring of float32 samples between one producer thread and one "
                         "consumer thread; lost samples are counted and located.")
      .def(nb::init<int64_t>(), "capacity_samples"_a,
           "Holds `capacity_samples`, rounded up to a power of two.")
      .def("write", &ring_write, nb::arg("samples").noconvert(),
           "Producer only. Stores what fits of float32 [n] and returns how many; the rest is lost.")
      .def("lose", &SampleRing::lose, "count"_a,
           "Producer only. Notes samples that were lost before they came here.")
      .def("read", &ring_read, nb::arg("out").noconvert(),
           "Consumer only. Fills float32 [n] up to the next gap and returns how many.")
      .def("take_gap", &SampleRing::take_gap,
           "Consumer only. Returns how many samples were lost exactly here and moves past them.")
      .def_prop_ro("readable", &SampleRing::readable, "Consumer only. What read could return now.")
      .def_prop_ro("position", &SampleRing::position,
                   "Consumer only. Stream position of the next sample, lost ones included.")
      .def_prop_ro("lost_samples", &SampleRing::lost_samples, "Samples lost so far, taken or not.")
      .def_prop_ro("capacity", &SampleRing::capacity, "Samples held when full.");
}
