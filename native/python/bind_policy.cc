// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include <nanobind/trampoline.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/policy/policy.h"
#include "core/policy/policy_head.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace edgestream;

namespace {

// A policy written in Python; takes the GIL for each decision.
struct PythonPolicy final : Policy {
  NB_TRAMPOLINE(Policy, 1);
  Action decide(const Observation& seen) const override { NB_OVERRIDE_PURE(decide, seen); }
};

template <typename Combined>
void combine(Combined* self, const nb::args& policies) {
  std::vector<const Policy*> natives;
  for (const nb::handle policy : policies) natives.push_back(nb::cast<const Policy*>(policy));
  new (self) Combined(std::move(natives));
}

nb::dict named_features(const Observation& seen) {
  const auto values = head_features(seen);
  nb::dict named;
  for (size_t i = 0; i < values.size(); ++i) {
    named[nb::str(kHeadFeatures[i].data(), kHeadFeatures[i].size())] = values[i];
  }
  return named;
}

void bind_observation(nb::module_& m) {
  nb::enum_<Action>(m, "Action", "What a policy answers.")
      .value("READ", Action::kRead)
      .value("WRITE", Action::kWrite);
  nb::class_<Observation>(m, "Observation", "What a policy may look at; see docs/policies.md.")
      .def(nb::init<>())
      .def_rw("read", &Observation::read)
      .def_rw("written", &Observation::written)
      .def_rw("held", &Observation::held)
      .def_rw("turn", &Observation::turn)
      .def_rw("since_write", &Observation::since_write)
      .def_rw("agreed", &Observation::agreed)
      .def_rw("attended_lag", &Observation::attended_lag)
      .def_rw("finished", &Observation::finished)
      .def_rw("writing", &Observation::writing)
      .def_rw("probability", &Observation::probability)
      .def_rw("margin", &Observation::margin)
      .def_rw("silence", &Observation::silence)
      .def_rw("entropy", &Observation::entropy)
      .def_rw("outside", &Observation::outside);
}

void bind_thresholds(nb::module_& m) {
  nb::class_<ConfidenceThreshold, Policy>(
      m, "ConfidenceThreshold",
      "Wait-k that also holds back a token below `threshold` (`stay` while writing) for at most "
      "`max_hold` steps.")
      .def(nb::init<int64_t, float, int64_t, std::optional<float>>(), "k"_a, "threshold"_a,
           "max_hold"_a, "stay"_a = nb::none());
  nb::class_<EntropyThreshold, Policy>(
      m, "EntropyThreshold",
      "As ConfidenceThreshold, on the entropy: writes up to `threshold` nats (`stay` while "
      "writing).")
      .def(nb::init<int64_t, float, int64_t, std::optional<float>>(), "k"_a, "threshold"_a,
           "max_hold"_a, "stay"_a = nb::none());
  nb::class_<SilenceThreshold, Policy>(
      m, "SilenceThreshold",
      "Silent while the silence token wins with more than base + growth * tokens of the turn.")
      .def(nb::init<float, float>(), "base"_a, "growth"_a = 0.F);
  nb::class_<OutsideThreshold, Policy>(
      m, "OutsideThreshold",
      "Writes while the score from outside reaches `threshold` (`stay` while writing).")
      .def(nb::init<float, std::optional<float>>(), "threshold"_a, "stay"_a = nb::none());
}

void bind_head(nb::module_& m) {
  m.def("head_features", &named_features,
        nb::sig("def head_features(seen: Observation) -> dict[str, float]"), "seen"_a,
        "What a head sees of an observation, in its order.");
  nb::class_<TrainedHead, Policy>(m, "TrainedHead",
                                  "A trained perceptron; read one with edgestream.policy.")
      .def(
          "__init__",
          [](TrainedHead* self, std::vector<float> mean, std::vector<float> scale,
             std::vector<float> hidden_weights, std::vector<float> hidden_bias,
             std::vector<float> output_weights, float output_bias, float latency_weight,
             int64_t max_hold) {
            new (self) TrainedHead({std::move(mean), std::move(scale), std::move(hidden_weights),
                                    std::move(hidden_bias), std::move(output_weights), output_bias},
                                   latency_weight, max_hold);
          },
          nb::kw_only(), "mean"_a, "scale"_a, "hidden_weights"_a, "hidden_bias"_a,
          "output_weights"_a, "output_bias"_a, "latency_weight"_a, "max_hold"_a)
      .def("write_logit", &TrainedHead::write_logit, "seen"_a, "Logit of WRITE.");
}

}  // namespace

void bind_policy(nb::module_& m) {
  bind_observation(m);
  nb::class_<Policy, PythonPolicy>(m, "Policy",
                                   "Decides when a proposed token is written. A class of Python "
                                   "may derive from it and define `decide`; that takes the "
                                   "interpreter's lock in each step.")
      .def(nb::init<>())
      .def("decide", &Policy::decide, "seen"_a);
  nb::class_<WaitK, Policy>(m, "WaitK",
                            "Token t is written when k + stride * (t // stride) units are read.")
      .def(nb::init<int64_t, int64_t>(), "k"_a, "stride"_a = 1);
  bind_thresholds(m);
  nb::class_<LocalAgreement, Policy>(
      m, "LocalAgreement", "Writes while the last hypotheses agree on `tokens` tokens or more.")
      .def(nb::init<int64_t>(), "tokens"_a = 1);
  nb::class_<AlignAtt, Policy>(m, "AlignAtt",
                               "Reads while the token attends to one of the last `f` input units.")
      .def(nb::init<int64_t>(), "f"_a);
  nb::class_<AllOf, Policy>(m, "AllOf", "WRITE when all of the policies say so.")
      .def("__init__", &combine<AllOf>, "policies"_a, nb::keep_alive<1, 2>(),
           nb::sig("def __init__(self, *policies: Policy) -> None"));
  nb::class_<AnyOf, Policy>(m, "AnyOf", "WRITE when one of the policies says so.")
      .def("__init__", &combine<AnyOf>, "policies"_a, nb::keep_alive<1, 2>(),
           nb::sig("def __init__(self, *policies: Policy) -> None"));
  bind_head(m);
}
