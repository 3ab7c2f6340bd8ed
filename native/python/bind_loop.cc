// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "core/loop.h"
#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// The first `n` values as an array of their own.
template <typename T>
typename OwnedArray<T, 1>::Array first(const std::vector<T>& values, size_t n) {
  OwnedArray<T, 1> array({n});
  std::copy_n(values.begin(), n, array.values().begin());
  return array.release();
}

auto push(edgestream::ConcatenatedLoop& loop, const Rows& rows) {
  const size_t room = rows.shape(0) + static_cast<size_t>(loop.undecided());
  std::vector<int32_t> tokens(room);
  std::vector<float> probabilities(room);
  std::vector<int32_t> waited(room);
  size_t n = 0;
  {
    nb::gil_scoped_release release;
    n = loop.push({rows.data(), rows.size()}, tokens, probabilities, waited);
  }
  return std::make_tuple(first(tokens, n), first(probabilities, n), first(waited, n));
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
      .def(nb::init<Decoder&, const Policy&, SpecialTokens, int32_t, float, int32_t>(), "decoder"_a,
           "policy"_a, "special"_a, nb::kw_only(), "delay_frames"_a, "pad_bias"_a,
           "deferrals"_a = 0, nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
      .def("push", &push, "rows"_a,
           "Reads float32 [n, n_embd]. Returns of the slots that are decided now, in order: int32 "
           "tokens, float32 probabilities, int32 steps that each waited. A slot for each row, "
           "later where one is deferred.")
      .def("finish", &ConcatenatedLoop::finish, "Nothing is held back any more.")
      .def("reset", &ConcatenatedLoop::reset)
      .def_prop_ro("read", &ConcatenatedLoop::read)
      .def_prop_ro("written", &ConcatenatedLoop::written);
}
