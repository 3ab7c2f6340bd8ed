// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "core/loop/concatenated_loop.h"
#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::ConcatenatedLoop;
using edgestream::Loop;
using edgestream::LoopConfig;
using edgestream::SamplerConfig;
using edgestream::SpecialTokens;
using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

auto push(ConcatenatedLoop& loop, const Rows& rows) {
  const size_t room = rows.shape(0) + static_cast<size_t>(loop.undecided());
  std::vector<int32_t> tokens(room);
  std::vector<float> probabilities(room);
  std::vector<int32_t> waited(room);
  size_t n = 0;
  {
    nb::gil_scoped_release release;
    n = loop.push({rows.data(), rows.size()}, tokens, probabilities, waited);
  }
  const auto decided = [n](const auto& values) { return array_of(std::span(values).first(n)); };
  return std::make_tuple(decided(tokens), decided(probabilities), decided(waited));
}

void bind_sampler(nb::module_& m) {
  nb::class_<SamplerConfig>(m, "SamplerConfig",
                            "How a token is chosen: repetition penalty, top-k, top-p, min-p and "
                            "temperature, in this order. Temperature 0 is greedy.")
      .def(
          "__init__",
          [](SamplerConfig* self, float temperature, int top_k, float top_p, float min_p,
             float repetition_penalty, int penalty_window, uint64_t seed) {
            new (self) SamplerConfig{temperature,        top_k,          top_p, min_p,
                                     repetition_penalty, penalty_window, seed};
          },
          nb::kw_only(), "temperature"_a = 0.F, "top_k"_a = 0, "top_p"_a = 1.F, "min_p"_a = 0.F,
          "repetition_penalty"_a = 1.F, "penalty_window"_a = SamplerConfig().penalty_window,
          "seed"_a = 0,
          "The penalty is on the newest penalty_window written tokens; top_k 0 is all tokens; the "
          "same seed draws the same tokens.");
}

void bind_loop_config(nb::module_& m) {
  const LoopConfig defaults;
  nb::class_<LoopConfig>(m, "LoopConfig", "What the loops that write in turns share.")
      .def(
          "__init__",
          [](LoopConfig* self, int unit_rows, int max_tokens_per_unit, int max_tokens_at_end,
             int32_t n_text, std::optional<int32_t> silence, float silence_bias,
             bool overrule_silence, std::vector<int32_t> end_of_turn,
             const std::vector<bool>& begins_word, SamplerConfig sampler) {
            new (self) LoopConfig{
                unit_rows,        max_tokens_per_unit,    max_tokens_at_end,
                n_text,           silence.value_or(-1),   silence_bias,
                overrule_silence, std::move(end_of_turn), {begins_word.begin(), begins_word.end()},
                sampler};
          },
          nb::kw_only(), "unit_rows"_a = defaults.unit_rows,
          "max_tokens_per_unit"_a = defaults.max_tokens_per_unit,
          "max_tokens_at_end"_a = defaults.max_tokens_at_end, "n_text"_a = 0,
          "silence"_a = nb::none(), "silence_bias"_a = 0.F, "overrule_silence"_a = false,
          "end_of_turn"_a = std::vector<int32_t>(), "begins_word"_a = std::vector<bool>(),
          "sampler"_a = SamplerConfig(),
          "unit_rows rows make an input unit; after each at most max_tokens_per_unit tokens are "
          "written, by finish max_tokens_at_end. Only tokens below n_text are proposed (0: all). "
          "`silence` is proposed when there is nothing to write, silence_bias is taken from its "
          "logit; with overrule_silence it is never proposed and the policy decides by its score. "
          "Any token of end_of_turn ends the writing until the next unit. begins_word says of each "
          "token whether it begins a word: the policy is then asked of words, and counts them.");
}

}  // namespace

void bind_loop(nb::module_& m) {
  bind_sampler(m);
  bind_loop_config(m);
  nb::class_<Loop>(m, "Loop",
                   "Reads input units and writes tokens when the policy says so. One thread at a "
                   "time. Any cutting of the input writes the same.")
      .def("reset", &Loop::reset, "Back to an empty stream.")
      .def("set_outside", &Loop::set_outside, "score"_a,
           "The score of a decision made outside, for the policy to see from the next unit on; "
           "NaN: none.")
      .def_prop_ro("read_ms", &Loop::read_ms, "Time that the newest unit took to be read.")
      .def_prop_ro("read", &Loop::read, "Input units since the last reset.")
      .def_prop_ro("written", &Loop::written,
                   "Tokens since the last reset; words, where it is known what begins one.");
  nb::class_<SpecialTokens>(m, "SpecialTokens", "Tokens with a meaning of their own.")
      .def(
          "__init__",
          [](SpecialTokens* self, int32_t pad, int32_t bos, int32_t n_text,
             std::optional<int32_t> delay_0, std::optional<int32_t> prompt_pads) {
            new (self) SpecialTokens{pad, bos, delay_0.value_or(SpecialTokens::kNone), n_text,
                                     prompt_pads.value_or(SpecialTokens::kNone)};
          },
          nb::kw_only(), "pad"_a, "bos"_a, "n_text"_a, "delay_0"_a = nb::none(),
          "prompt_pads"_a = nb::none(),
          "delay_0 is the token of delay 0, where delays have tokens. With prompt_pads the first "
          "steps read BOS, so many PADs and one more for each step of delay.");
  nb::class_<ConcatenatedLoop, Loop>(m, "ConcatenatedLoop",
                                     "Reads one embedding a step and writes a token or PAD.")
      .def(nb::init<edgestream::Decoder&, const edgestream::Policy&, SpecialTokens, int32_t, float,
                    int32_t>(),
           "decoder"_a, "policy"_a, "special"_a, nb::kw_only(), "delay_frames"_a, "pad_bias"_a,
           "deferrals"_a = 0, nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
      .def("push", &push, "rows"_a,
           "Reads float32 [n, n_embd]. Returns of the slots that are decided now, in order: int32 "
           "tokens, float32 probabilities, int32 steps that each waited. A slot for each row, "
           "later where one is deferred.")
      .def("end_input", &ConcatenatedLoop::end_input,
           "The input has ended: in the rows that are still pushed nothing is held back.");
}
