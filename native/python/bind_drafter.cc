// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "core/loop/drafter.h"

namespace nb = nanobind;
using namespace nb::literals;

void bind_drafter(nb::module_& m) {
  using namespace edgestream;
  nb::class_<Drafter>(m, "Drafter",
                      "Guesses at the next tokens, which the decoder verifies in one batch: what "
                      "is written stays the same. One for each stream.");
  nb::class_<NgramDrafter, Drafter>(
      m, "NgramDrafter", "What followed the newest earlier place where the last tokens stood.")
      .def(nb::init<int, int, int>(), nb::kw_only(), "min_ngram"_a = 2, "max_ngram"_a = 4,
           "window"_a = 4096,
           "Looks for the last max_ngram tokens among the newest `window`, then for fewer, down to "
           "min_ngram.");
  nb::class_<DecoderDrafter, Drafter>(m, "DecoderDrafter",
                                      "What a smaller decoder of the same vocabulary would write.")
      .def(nb::init<Decoder&>(), "decoder"_a, nb::keep_alive<1, 2>(),
           "Resets `decoder` and feeds it every token that is read or written.");
}
