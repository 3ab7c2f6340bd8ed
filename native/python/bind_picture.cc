// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

#include "core/picture/picture.h"
#include "core/picture/tile_gate.h"
#include "core/picture/token_gate.h"
#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::PictureResizer;
using edgestream::TileGate;
using edgestream::TileGateConfig;
using edgestream::TokenGate;
using Bytes = nb::ndarray<const std::uint8_t, nb::shape<-1, -1, 3>, nb::c_contig, nb::device::cpu>;
using Values = nb::ndarray<const float, nb::shape<-1, -1, 3>, nb::c_contig, nb::device::cpu>;
using Embeddings = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Grid = OwnedArray<float, 3>;
using TileMap = OwnedArray<bool, 2>;
using CellMap = OwnedArray<bool, 1>;

template <typename T>
std::span<std::uint8_t> flags(T& map) {
  static_assert(sizeof(bool) == 1);
  return {reinterpret_cast<std::uint8_t*>(map.values().data()), map.values().size()};
}

Grid::Array resize(PictureResizer& resizer, const Bytes& rgb) {
  Grid grid({resizer.height(), resizer.width(), 3});
  {
    nb::gil_scoped_release release;
    resizer.push({rgb.data(), rgb.size()}, rgb.shape(1), rgb.shape(0), grid.values());
  }
  return grid.release();
}

std::tuple<TileMap::Array, bool> push_tiles(TileGate& gate, const Values& rgb) {
  TileMap kept({gate.tiles_high(), gate.tiles_wide()});
  const edgestream::TileChange change = gate.push({rgb.data(), rgb.size()}, flags(kept));
  return {kept.release(), change.shot_change};
}

CellMap::Array push_tokens(TokenGate& gate, const Embeddings& embeddings) {
  CellMap kept({gate.n_cells()});
  gate.push({embeddings.data(), embeddings.size()}, flags(kept));
  return kept.release();
}

void bind_resizer(nb::module_& m) {
  nb::class_<PictureResizer>(m, "PictureResizer",
                             "RGB pictures of any size, made into pictures of one small size: "
                             "averaged by area where they shrink, bilinear where they grow. One "
                             "thread at a time.")
      .def(nb::init<std::size_t, std::size_t>(), "width"_a, "height"_a,
           "Raises ValueError when a side is not 1 to 4096 pixels.")
      .def("push", &resize, nb::arg("rgb").noconvert(),
           "Takes uint8 [height, width, 3] of any size up to 32768 a side; returns float32 "
           "[self.height, self.width, 3] in [0, 1]. Raises ValueError on another size.")
      .def_prop_ro("width", &PictureResizer::width)
      .def_prop_ro("height", &PictureResizer::height);
}

void bind_tile_gate(nb::module_& m) {
  const TileGateConfig defaults;
  nb::class_<TileGate>(m, "TileGate",
                       "Tiles of each picture that differ from what was last kept of them, and "
                       "changes of the shot. One thread at a time.")
      .def(
          "__init__",
          [](TileGate* self, std::size_t width, std::size_t height, std::size_t tile_px,
             float min_difference, float min_shot_share, float min_shot_histogram) {
            new (self) TileGate(
                {width, height, tile_px, min_difference, min_shot_share, min_shot_histogram});
          },
          "width"_a = defaults.width, "height"_a = defaults.height, "tile_px"_a = defaults.tile_px,
          "min_difference"_a = defaults.min_difference,
          "min_shot_share"_a = defaults.min_shot_share,
          "min_shot_histogram"_a = defaults.min_shot_histogram,
          "Raises ValueError, with the number and its range, on what cannot be served.")
      .def("push", &push_tiles, nb::arg("rgb").noconvert(),
           "Takes float32 [height, width, 3] in [0, 1]; returns which tiles are kept, bool "
           "[tiles high, tiles wide], and whether the shot changed.")
      .def("reset", &TileGate::reset, "Back to the start of a stream.")
      .def_prop_ro("pictures", &TileGate::pictures, "Pictures since the start.")
      .def_prop_ro("drop_ratio", &TileGate::drop_ratio,
                   "Share of all tiles since the start that were dropped.");
}

void bind_token_gate(nb::module_& m) {
  nb::class_<TokenGate>(m, "TokenGate",
                        "Embeddings of each picture that differ from what was last kept at their "
                        "cell. One thread at a time.")
      .def(nb::init<std::size_t, std::size_t, float, std::int64_t, std::int64_t>(), "n_cells"_a,
           "n_embd"_a, "max_cosine"_a, nb::kw_only(), "memory_rows"_a = 0, "rows_besides"_a = 0,
           "Drops an embedding above `max_cosine`. What is kept enters a memory of the newest "
           "`memory_rows` rows (0: of all), `rows_besides` others with each picture of which "
           "anything is kept; what it may have lost is kept again. Raises ValueError on what "
           "cannot be served.")
      .def_prop_ro("n_cells", &TokenGate::n_cells, "Embeddings of a picture.")
      .def("push", &push_tokens, nb::arg("embeddings").noconvert(),
           "Takes float32 [n_cells, n_embd]; returns which are kept, bool [n_cells].")
      .def("reset", &TokenGate::reset, "Back to the start of a stream.")
      .def_prop_ro("drop_ratio", &TokenGate::drop_ratio,
                   "Share of all embeddings since the start that were dropped.");
}

}  // namespace

void bind_picture(nb::module_& m) {
  bind_resizer(m);
  bind_tile_gate(m);
  bind_token_gate(m);
}
