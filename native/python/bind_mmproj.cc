// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "decoder/file/mmproj.h"

namespace nb = nanobind;
using namespace nb::literals;
using edgestream::MmprojShape;

void bind_mmproj(nb::module_& m) {
  nb::class_<MmprojShape>(m, "MmprojShape", "What a vision tower makes of a picture.")
      .def_ro("projector", &MmprojShape::projector, "idefics3, qwen2.5vl_merger or qwen3vl_merger.")
      .def_ro("image_size", &MmprojShape::image_size, "Pixels of a side of a fixed grid.")
      .def_ro("patch_size", &MmprojShape::patch_size, "Pixels of a side.")
      .def_ro("n_merge", &MmprojShape::n_merge, "Patches of a side that become one row.")
      .def_ro("n_out", &MmprojShape::n_out, "Width of a row for the decoder's first layer.")
      .def_ro("n_deepstack", &MmprojShape::n_deepstack,
              "Further parts of a row, for the layers behind it.")
      .def_prop_ro("row_width", &MmprojShape::row_width);
  m.def("read_mmproj_shape", &edgestream::read_mmproj_shape, "path"_a,
        nb::call_guard<nb::gil_scoped_release>(),
        "Reads and checks the head of a vision tower's file (mmproj). Raises ValueError naming "
        "file and finding on all that libmtmd would not take.");
}
