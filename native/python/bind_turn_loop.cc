// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/loop/grouped_loop.h"
#include "core/loop/interleaved_loop.h"
#include "core/loop/reencoded_loop.h"
#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::Decoder;
using edgestream::DraftCounts;
using edgestream::Drafter;
using edgestream::GroupedLoop;
using edgestream::InterleavedLoop;
using edgestream::Loop;
using edgestream::LoopConfig;
using edgestream::Policy;
using edgestream::ReencodedLoop;
using edgestream::TurnLoop;
using edgestream::Written;
using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Axes = nb::ndarray<const int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Tokens = std::vector<int32_t>;

template <typename T, T Written::* member>
typename OwnedArray<T, 1>::Array column(std::span<const Written> written) {
  OwnedArray<T, 1> array({written.size()});
  std::ranges::transform(written, array.values().begin(), member);
  return array.release();
}

// Runs `act` without the GIL and returns what it wrote.
template <typename Act>
auto written_by(Act act) {
  std::span<const Written> written;
  {
    nb::gil_scoped_release release;
    written = act();
  }
  return std::make_tuple(column<int32_t, &Written::token>(written),
                         column<float, &Written::probability>(written),
                         column<int64_t, &Written::read>(written));
}

void require_width(const TurnLoop& loop, const Rows& rows) {
  if (std::cmp_equal(rows.shape(1), loop.n_embd())) return;
  throw std::invalid_argument("loop: got rows of " + std::to_string(rows.shape(1)) +
                              " numbers, takes rows of " + std::to_string(loop.n_embd()));
}

auto push(TurnLoop& loop, const Rows& rows) {
  require_width(loop, rows);
  return written_by([&] { return loop.push({rows.data(), rows.size()}); });
}

auto push_unit(TurnLoop& loop, const Rows& rows, const std::optional<Axes>& axes) {
  require_width(loop, rows);
  const auto places = axes ? std::span(axes->data(), axes->size()) : std::span<const int32_t>();
  return written_by([&] { return loop.push_unit({rows.data(), rows.size()}, places); });
}

auto push_tokens(TurnLoop& loop, const Tokens& tokens) {
  return written_by([&] { return loop.push_tokens(tokens); });
}

auto finish(TurnLoop& loop) {
  return written_by([&] { return loop.finish(); });
}

void bind_interleaved(nb::module_& m) {
  nb::class_<InterleavedLoop, TurnLoop>(
      m, "InterleavedLoop", "A run of input rows, then output tokens, in one stream of rows.")
      .def(
          "__init__",
          [](InterleavedLoop* self, Decoder& decoder, const Policy& policy, LoopConfig loop,
             Tokens prompt, Tokens before_unit, Tokens after_unit, Tokens after_turn,
             Tokens after_silence, bool remember_silence, int n_draft, Drafter* drafter,
             int input_region, int output_region, int attention_sink_region, int n_sinks) {
            new (self) InterleavedLoop(
                decoder, policy,
                {std::move(loop), std::move(prompt), std::move(before_unit), std::move(after_unit),
                 std::move(after_turn), std::move(after_silence), remember_silence, n_draft,
                 input_region, output_region, attention_sink_region, n_sinks},
                drafter);
          },
          "decoder"_a, "policy"_a, "config"_a = LoopConfig(), nb::kw_only(), "prompt"_a = Tokens(),
          "before_unit"_a = Tokens(), "after_unit"_a = Tokens(), "after_turn"_a = Tokens(),
          "after_silence"_a = Tokens(), "remember_silence"_a = true, "n_draft"_a = 0,
          "drafter"_a.none() = nb::none(), "input_region"_a = 0, "output_region"_a = 0,
          "attention_sink_region"_a = -1, "n_sinks"_a = 0, nb::keep_alive<1, 2>(),
          nb::keep_alive<1, 3>(), nb::keep_alive<1, 12>(),
          "Tokens of the chat template: `prompt` before everything, before_unit and after_unit "
          "around each unit, after_turn behind the token that ended a turn, after_silence behind "
          "silence. A turn that the policy ends is ended with the first token of end_of_turn, or "
          "with silence when nothing was written (no row unless remember_silence). Units enter "
          "input_region of the decoder, all else output_region; of that the first n_sinks rows "
          "attention_sink_region, which keeps so many (-1: there is none).")
      .def("settle", &InterleavedLoop::settle,
           "Lets go of rows that the decoder has computed and not yet taken, so that it can be "
           "forked; what is written stays the same.")
      .def("follow", &InterleavedLoop::follow, "other"_a,
           "Goes on where `other`, which has settled, is; this loop's decoder must be a fork of "
           "that one's. What `other` holds back until its next unit enters with the next unit of "
           "both.")
      .def(
          "go_on",
          [](InterleavedLoop& self, const Tokens& seen) { self.go_on({seen.data(), seen.size()}); },
          "seen"_a = Tokens(),
          "Goes on behind what the decoder has read without this loop: nothing is reset, and the "
          "prompt does not enter. `seen` are the newest tokens of that, for drafters.")
      .def_prop_ro("draft_counts", &InterleavedLoop::draft_counts);
}

void bind_grouped(nb::module_& m) {
  nb::class_<GroupedLoop, TurnLoop>(
      m, "GroupedLoop",
      "Input and output are regions with own positions; a unit and the newest output row are one "
      "batch.")
      .def(
          "__init__",
          [](GroupedLoop* self, Decoder& decoder, const Policy& policy, LoopConfig loop,
             Tokens output_prompt, Tokens input_prompt, Tokens after_turn, int n_draft,
             Drafter* drafter) {
            new (self) GroupedLoop(decoder, policy,
                                   {std::move(loop), std::move(input_prompt),
                                    std::move(output_prompt), std::move(after_turn), n_draft},
                                   drafter);
          },
          "decoder"_a, "policy"_a, "config"_a = LoopConfig(), nb::kw_only(), "output_prompt"_a,
          "input_prompt"_a = Tokens(), "after_turn"_a = Tokens(), "n_draft"_a = 0,
          "drafter"_a.none() = nb::none(), nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>(),
          nb::keep_alive<1, 9>(),
          "`decoder` has the regions input and output. output_prompt (one token at least) stands "
          "before the first written token, input_prompt before the first unit.")
      .def_prop_ro("draft_counts", &GroupedLoop::draft_counts);
}

void bind_reencoded(nb::module_& m) {
  const edgestream::ReencodedConfig defaults;
  nb::class_<ReencodedLoop, TurnLoop>(
      m, "ReencodedLoop", "The window of input is decoded again whenever a unit arrives.")
      .def(
          "__init__",
          [](ReencodedLoop* self, Decoder& decoder, const Policy& policy, LoopConfig loop,
             int max_rows, int keep_rows, Tokens before_window, Tokens after_window,
             int max_hypothesis, int n_hypotheses, int n_draft, int32_t first_time,
             Tokens sentence_ends, int lag_rows, float loyalty, int crowd_tokens, int crowd_rows) {
            new (self) ReencodedLoop(
                decoder, policy,
                {std::move(loop), std::move(before_window), std::move(after_window), max_rows,
                 keep_rows, max_hypothesis, n_hypotheses, n_draft, first_time,
                 std::move(sentence_ends), lag_rows, loyalty, crowd_tokens, crowd_rows});
          },
          "decoder"_a, "policy"_a, "config"_a = LoopConfig(), nb::kw_only(), "max_rows"_a,
          "keep_rows"_a, "before_window"_a = Tokens(), "after_window"_a = Tokens(),
          "max_hypothesis"_a = defaults.max_hypothesis, "n_hypotheses"_a = defaults.n_hypotheses,
          "n_draft"_a = 0, "first_time"_a = defaults.first_time, "sentence_ends"_a = Tokens(),
          "lag_rows"_a = defaults.lag_rows, "loyalty"_a = defaults.loyalty,
          "crowd_tokens"_a = defaults.crowd_tokens, "crowd_rows"_a = defaults.crowd_rows,
          nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>(),
          "Of more than max_rows input rows the oldest leave the window, keep_rows stay or a few "
          "more. "
          "n_hypotheses newest hypotheses are compared for what they agree on; n_draft tokens of "
          "the last one are verified at once (0: none). Tokens from first_time on (-1: none) name "
          "places in the window and are not written. Of a window longer than keep_rows leaves what "
          "was heard up to the last written token of sentence_ends. lag_rows input rows count as "
          "one "
          "in a policy's attended_lag (0: those of a unit). A token of the last hypothesis is kept "
          "unless another is likelier by `loyalty` nats. A hypothesis ends where crowd_tokens "
          "tokens are heard within fewer than crowd_rows rows (0: never).")
      .def_prop_ro(
          "hypothesis",
          [](const ReencodedLoop& self) {
            return Tokens(self.hypothesis().begin(), self.hypothesis().end());
          },
          "Tokens of the newest hypothesis beyond the written ones; they may change.")
      .def_prop_ro(
          "places",
          [](const ReencodedLoop& self) {
            return Tokens(self.places().begin(), self.places().end());
          },
          "Input rows of the window at which the tokens last written begin, then those of "
          "hypothesis, and what follows; empty where the decoder does not know.")
      .def_prop_ro("n_left", &ReencodedLoop::n_left,
                   "Input rows that have left the window: the place at which it starts.")
      .def_prop_ro("draft_counts", &ReencodedLoop::draft_counts);
}

}  // namespace

void bind_turn_loop(nb::module_& m) {
  nb::class_<DraftCounts>(m, "DraftCounts", "What drafting brought, since the stream's start.")
      .def_ro("batches", &DraftCounts::batches, "Batches computed to write tokens.")
      .def_ro("drafted", &DraftCounts::drafted, "Tokens guessed.")
      .def_ro("verified", &DraftCounts::verified, "Of those the ones written as guessed.");
  nb::class_<TurnLoop, Loop>(m, "TurnLoop", "A loop that writes any number of tokens after a unit.")
      .def("push", &push, nb::arg("rows").noconvert(),
           "Reads float32 [n, n_embd]. Returns what was written meanwhile: int32 tokens, float32 "
           "probabilities, int64 units read when each was written.")
      .def(
          "push_unit", &push_unit, nb::arg("rows").noconvert(),
          nb::arg("axes").noconvert().none() = nb::none(),
          "As push of one whole unit, float32 [n, n_embd] of any n >= 1, whose rows may have time, "
          "height and width of their own, int32 [n, 3] (see Decoder.step_groups).")
      .def("push_tokens", &push_tokens, "tokens"_a,
           "As push of the tokens' embeddings; drafters see the tokens too.")
      .def("limit_turns", &TurnLoop::limit_turns, nb::kw_only(), "max_tokens"_a, "max_ms"_a,
           "From the next unit on at most max_tokens are written after one, and none is begun "
           "that, at the pace of its turn's slowest, would be done later than max_ms after the "
           "unit came; one always may be. Holds until changed, over reset too; finish is not "
           "limited.")
      .def_prop_ro("cut_off", &TurnLoop::cut_off,
                   "Whether a limit ended the last turn, and neither the model nor the policy.")
      .def("cut_turn", &TurnLoop::cut_turn,
           "Ends a turn that a limit cut off as if the model had: what it spoke of is gone.")
      .def("finish", &finish, "The source has ended: as push, of what is left to write.");
  bind_interleaved(m);
  bind_grouped(m);
  bind_reencoded(m);
}
