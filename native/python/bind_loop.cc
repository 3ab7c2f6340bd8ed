// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include <memory>

#include "core/loop.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Vector = nb::ndarray<nb::numpy, T, nb::ndim<1>>;

template <typename T>
Vector<T> own(std::unique_ptr<T[]> data, size_t n) {
  nb::capsule owner(data.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Vector<T>(data.release(), {n}, owner);
}

std::pair<Vector<int32_t>, Vector<float>> push(edgestream::ConcatenatedLoop& loop, Rows rows) {
  const size_t n = rows.shape(0);
  auto tokens = std::make_unique<int32_t[]>(n);
  auto probabilities = std::make_unique<float[]>(n);
  {
    nb::gil_scoped_release release;
    loop.push({rows.data(), rows.size()}, {tokens.get(), n}, {probabilities.get(), n});
  }
  return {own(std::move(tokens), n), own(std::move(probabilities), n)};
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
