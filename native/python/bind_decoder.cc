// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>

#include "decoder/ring_decoder.h"
#include "owned_array.h"
#include "python_decoder.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::Decoder;
using edgestream::GgufModel;
using edgestream::RegionShape;
using edgestream::RingDecoder;
using edgestream::RingDecoderConfig;
using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

using Axes = nb::ndarray<const int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Group = std::variant<std::pair<int, Rows>, std::tuple<int, Rows, Axes>>;
using Groups = std::vector<Group>;
using edgestream::LogitsOf;
using edgestream::RegionRows;

std::span<const float> checked(const Decoder& decoder, const Rows& rows) {
  if (std::cmp_not_equal(rows.shape(1), decoder.n_embd())) {
    throw std::invalid_argument("decoder: got rows of " + std::to_string(rows.shape(1)) +
                                " numbers, this decoder takes " + std::to_string(decoder.n_embd()) +
                                "; deepstack layers, if its file has any, count in that width");
  }
  return {rows.data(), rows.size()};
}

OwnedArray<float, 1>::Array step(Decoder& decoder, const Rows& rows) {
  const std::span<const float> embeddings = checked(decoder, rows);
  std::span<const float> logits;
  {
    nb::gil_scoped_release release;
    logits = decoder.step(embeddings);
  }
  return array_of(logits);
}

RegionRows native_group(const Decoder& decoder, const Group& group) {
  if (const auto* const text = std::get_if<0>(&group)) {
    return {text->first, checked(decoder, text->second)};
  }
  const auto& [region, rows, axes] = std::get<1>(group);
  return {region, checked(decoder, rows), {axes.data(), axes.size()}};
}

LogitsOf read_logits_of(const std::string& name) {
  if (name == "none") return LogitsOf::kNone;
  if (name == "last") return LogitsOf::kLastRow;
  if (name == "every") return LogitsOf::kEveryRow;
  throw std::invalid_argument("decoder: logits of '" + name +
                              "' rows are not known; known: none, last, every");
}

// Runs `act` on the groups without the GIL; the logits that it gives become [n, n_vocab].
template <typename Act>
OwnedArray<float, 2>::Array logits_of(const Decoder& decoder, const Groups& groups, Act act) {
  std::vector<RegionRows> native;
  for (const Group& group : groups) native.push_back(native_group(decoder, group));
  std::span<const float> given;
  {
    nb::gil_scoped_release release;
    given = act(std::span<const RegionRows>(native));
  }
  const auto n_vocab = static_cast<size_t>(decoder.n_vocab());
  OwnedArray<float, 2> logits({given.size() / n_vocab, n_vocab});
  std::ranges::copy(given, logits.values().begin());
  return logits.release();
}

OwnedArray<float, 2>::Array step_groups(Decoder& decoder, const Groups& groups,
                                        const std::string& logits) {
  const LogitsOf wanted = read_logits_of(logits);
  return logits_of(decoder, groups, [&](std::span<const RegionRows> native) {
    return decoder.step(native, wanted);
  });
}

OwnedArray<float, 2>::Array propose(Decoder& decoder, const Groups& groups) {
  return logits_of(decoder, groups,
                   [&](std::span<const RegionRows> native) { return decoder.propose(native); });
}

OwnedArray<float, 2>::Array probe(RingDecoder& decoder, const std::vector<Rows>& branches,
                                  const std::optional<Rows>& trunk, int region,
                                  const std::string& logits) {
  using edgestream::BranchLogits;
  if (logits != "last" && logits != "every") {
    throw std::invalid_argument("decoder: logits of '" + logits +
                                "' rows of branches are not known; known: last, every");
  }
  const auto wanted = logits == "last" ? BranchLogits::kLastRows : BranchLogits::kEveryRow;
  std::vector<std::span<const float>> native;
  for (const Rows& branch : branches) native.push_back(checked(decoder, branch));
  const std::span<const float> shared = trunk ? checked(decoder, *trunk) : std::span<const float>();
  return logits_of(decoder, {}, [&](std::span<const RegionRows>) {
    return decoder.probe(shared, native, region, wanted);
  });
}

OwnedArray<float, 1>::Array token_embedding(const Decoder& decoder, int32_t token) {
  OwnedArray<float, 1> row({static_cast<size_t>(decoder.n_embd())});
  decoder.token_embedding(token, row.values());
  return row.release();
}

using Window = std::variant<int, std::vector<std::pair<std::string, int>>>;

std::vector<RegionShape> read_regions(const Window& window) {
  if (const int* const only = std::get_if<int>(&window)) return {{.window = *only}};
  std::vector<RegionShape> regions;
  for (const auto& [name, rows] : std::get<1>(window)) regions.push_back({name, rows});
  return regions;
}

void bind_ring_decoder(nb::module_& m) {
  const RingDecoderConfig defaults;
  nb::class_<RingDecoder, Decoder>(
      m, "RingDecoder",
      "One stream over a GgufModel: attention sinks, a window, constant memory. "
      "One thread at a time.")
      .def(
          "__init__",
          [](RingDecoder* self, std::shared_ptr<const GgufModel> model, int n_sinks,
             const Window& window, int n_threads, const std::string& kv_type, int max_rows,
             int rebase_rows, const std::string& layout, int gap,
             const std::vector<int>& attention_layers, const std::string& retention, int recent,
             int evict_rows, int exit_layer, float exit_threshold, int delay) {
            nb::gil_scoped_release release;
            new (self) RingDecoder(std::move(model),
                                   {n_sinks, read_regions(window), n_threads, kv_type, max_rows,
                                    rebase_rows, layout, gap, attention_layers, retention, recent,
                                    evict_rows, exit_layer, exit_threshold, delay});
          },
          "model"_a, nb::kw_only(), "n_sinks"_a, "window"_a, "n_threads"_a = defaults.n_threads,
          "kv_type"_a = defaults.kv_type, "max_rows"_a = defaults.max_rows,
          "rebase_rows"_a = defaults.rebase_rows, "layout"_a = defaults.layout,
          "gap"_a = defaults.gap, "attention_layers"_a = defaults.attention_layers,
          "retention"_a = defaults.retention, "recent"_a = defaults.recent,
          "evict_rows"_a = defaults.evict_rows, "exit_layer"_a = defaults.exit_layer,
          "exit_threshold"_a = defaults.exit_threshold, "delay"_a = defaults.delay,
          "Keeps the first n_sinks rows for ever and the newest `window` rows, or of each region "
          "its own: pairs of a name and a window. `layout` says how regions are placed and who "
          "sees whom: 'one-clock' (all see all; begin_unit closes the holes that evicted rows "
          "leave), 'grouped' (each counts its own rows, from `gap` on after the first; a region "
          "sees itself and those before it) or 'overlap' (they count on side by side, and go on "
          "together at begin_unit). kv_type is f32, f16, bf16, q8_0 or q4_0; at most max_rows (a "
          "power of two) are computed at once; rebase_rows 0 chooses how often positions are "
          "rebased; attention is captured from attention_layers. `retention` says who leaves a "
          "full window of one region: 'window', the oldest row; 'heavy-hitter', evict_rows rows at "
          "a time, those that were attended to least; 'merge', as many neighbours of them become "
          "one row each. The newest `recent` rows stay (0: half of the window); evict_rows 0 "
          "chooses their number. With exit_layer > 0 a row goes no "
          "further than that many layers when the output layer, put there, gives some token at "
          "least the probability exit_threshold; the layers behind make its keys and values of "
          "what it is there. `delay` in steps is for a model that is told it (n_delays > 0).")
      .def("follow", &RingDecoder::follow, "other"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Goes on from where `other` is, of the same model and memory: as a fork of it, without "
           "taking memory.")
      .def(
          "probe", &probe, nb::arg("branches").noconvert(), nb::arg("trunk").none() = nb::none(),
          "region"_a = 0, "logits"_a = "last",
          "Logits, float32 [n, n_vocab], behind several continuations of the past, which see "
          "neither each other nor stay: float32 [n, n_embd], n >= 1, each behind the rows of "
          "`trunk`, which they share and which are computed once. Of the 'last' row of each, or of "
          "the trunk's last row and 'every' row of the branches. Trunk and a branch have max_rows "
          "rows at most.")
      .def("save", &RingDecoder::save, "path"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Writes the stream's past to a file, whole or not at all. Not while a proposal is open.")
      .def("restore", &RingDecoder::restore, "path"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Goes on from a file that a decoder of the same model and memory saved. Raises "
           "ValueError "
           "naming file and finding, with the stream as it was, on any other.")
      .def_prop_ro("n_exits", &RingDecoder::n_exits,
                   "Rows that exited early since the last reset or restore.")
      .def_prop_ro("state_bytes", &RingDecoder::state_bytes);
}

}  // namespace

void bind_decoder(nb::module_& m) {
  nb::class_<Decoder, PythonDecoder>(
      m, "Decoder",
      "Takes embeddings row by row, gives logits. A Python class that inherits it can be driven by "
      "the native loops; it has the methods _step(rows, logits) -> float32 [0, 1 or n, n_vocab], "
      "_take_back(n_rows), _token_embedding(token) -> float32 [n_embd], _fork() and _reset().")
      .def(nb::init<int, int, int>(), nb::kw_only(), "n_embd"_a, "n_vocab"_a, "max_proposal"_a)
      .def("step", &step, nb::arg("rows").noconvert(),
           "Appends float32 [n, n_embd], n >= 1, to region 0; returns the logits of the last row, "
           "float32 [n_vocab].")
      .def("step_groups", &step_groups, nb::arg("groups").noconvert(), nb::kw_only(),
           "logits"_a = "last",
           "Appends pairs of a region and its float32 [n, n_embd], computed together, as if their "
           "rows came one after the other; for a model that turns them apart (M-RoPE) also int32 "
           "[n, 3], each row's time, height and width from the region's next position on. Returns "
           "float32 [n, n_vocab] of 'none', the 'last' or "
           "'every' row.")
      .def("propose", &propose, nb::arg("groups").noconvert(),
           "As step_groups with the logits of every row, but open: the rows count only after keep. "
           "Called again it adds rows; at most max_proposal in all.")
      .def("keep", &Decoder::keep, "n_rows"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Closes the proposal: its first n_rows stay, the others were never taken.")
      .def("begin_unit", &Decoder::begin_unit,
           "A unit of input and what was written about it is over: positions that depend on units "
           "move on.")
      .def(
          "attention",
          [](const Decoder& self, int region) { return array_of(self.attention(region)); },
          "region"_a,
          "Attention of the last row that gave logits over the kept rows of a region, oldest "
          "first, float32 [n]; "
          "empty when no layer is captured.")
      .def("fork", &Decoder::fork, nb::call_guard<nb::gil_scoped_release>(),
           "A second stream with the same past that goes its own way from here.")
      .def("token_embedding", &token_embedding, "token"_a,
           "The input embedding of a token, float32 [n_embd].")
      .def("reset", &Decoder::reset, "Forgets everything; the next row is position 0.")
      .def_prop_ro("pos", &Decoder::pos,
                   "Rows taken since the last reset; those of an open proposal are not counted.")
      .def_prop_ro("n_embd", &Decoder::n_embd)
      .def_prop_ro("n_vocab", &Decoder::n_vocab)
      .def_prop_ro("n_regions", &Decoder::n_regions)
      .def_prop_ro("max_proposal", &Decoder::max_proposal, "Most rows that a proposal may hold.");
  bind_ring_decoder(m);
}
