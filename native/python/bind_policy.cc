// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "core/policy.h"

namespace nb = nanobind;
using namespace nb::literals;

void bind_policy(nb::module_& m) {
  using namespace edgestream;
  nb::class_<Policy>(m, "Policy", "Decides when a proposed token is written.");
  nb::class_<WaitK, Policy>(m, "WaitK", "Write while at least k input units ahead are read.")
      .def(nb::init<int64_t>(), "k"_a);
  nb::class_<ConfidenceThreshold, Policy>(
      m, "ConfidenceThreshold",
      "Wait-k that also holds back a token below `threshold` for at most `max_hold` steps.")
      .def(nb::init<int64_t, float, int64_t>(), "k"_a, "threshold"_a, "max_hold"_a);
}
