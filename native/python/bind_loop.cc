// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include "core/loop.h"
#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Tokens = OwnedArray<int32_t, 1>;
using Probabilities = OwnedArray<float, 1>;

std::pair<Tokens::Array, Probabilities::Array> push(edgestream::ConcatenatedLoop& loop,
                                                    const Rows& rows) {
  Tokens tokens({rows.shape(0)});
  Probabilities probabilities({rows.shape(0)});
  {
    nb::gil_scoped_release release;
    loop.push({rows.data(), rows.size()}, tokens.values(), probabilities.values());
  }
  return {tokens.release(), probabilities.release()};
}

}  // namespace

void bind_loop(nb::module_& m) {
  using namespace edgestream;
  nb::class_<SpecialTokens>(m, "SpecialTokens", "Tokens with a meaning of their own.")
      .def(
          "__init__",
          [](SpecialTokens* self, int32_t pad, int32_t bos, int32_t delay_0, int32_t n_text) {
            new (self) SpecialTokens{pad, bos, delay_0, n_text};
          },
          nb::kw_only(), "pad"_a, "bos"_a, "delay_0"_a, "n_text"_a);
  nb::class_<ConcatenatedLoop>(m, "ConcatenatedLoop",
                               "Reads one embedding a step and writes a token or PAD.")
      .def(nb::init<Decoder&, const Policy&, SpecialTokens, int32_t, float>(), "decoder"_a,
           "policy"_a, "special"_a, nb::kw_only(), "delay_frames"_a, "pad_bias"_a,
           nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
      .def("push", &push, "rows"_a,
           "Reads float32 [n, n_embd]; returns int32 tokens [n] and float32 probabilities [n].")
      .def("finish", &ConcatenatedLoop::finish, "Nothing is held back any more.")
      .def("reset", &ConcatenatedLoop::reset)
      .def_prop_ro("read", &ConcatenatedLoop::read)
      .def_prop_ro("written", &ConcatenatedLoop::written);
}
