// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>

#include "core/policy/token_aligner.h"
#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::TokenAligner;
using Attention = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

auto align(TokenAligner& aligner, const Attention& attention, int n_before) {
  std::span<const int32_t> begins;
  {
    nb::gil_scoped_release release;
    begins =
        aligner.align({attention.data(), attention.size()}, static_cast<int>(attention.shape(0)),
                      static_cast<int>(attention.shape(1)), n_before);
  }
  return array_of(begins);
}

}  // namespace

void bind_token_aligner(nb::module_& m) {
  nb::class_<TokenAligner>(m, "TokenAligner",
                           "Where in the input an encoder-decoder heard each token, by its "
                           "cross-attention and dynamic time warping. One thread at a time.")
      .def(nb::init<>())
      .def("align", &align, nb::arg("attention").noconvert(), nb::kw_only(), "n_before"_a = 0,
           "Attention float32 [n_heads, n_tokens, n_rows] of the rows that proposed each token. "
           "Returns int32 [n_tokens - n_before]: the row at which each token behind the first "
           "n_before begins.");
}
