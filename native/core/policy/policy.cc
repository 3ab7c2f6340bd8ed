// SPDX-License-Identifier: Apache-2.0
#include "core/policy/policy.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace edgestream {
namespace {

constexpr int64_t kMostUnits = int64_t{1} << 40;  // of input; sums of two stay far from overflow

// A view: decide() checks too, and a text would be copied each time.
void require(bool holds, std::string_view message) {
  if (!holds) throw std::invalid_argument(std::string(message));
}

void require_count(int64_t value, int64_t least, const char* name) {
  require(value >= least && value <= kMostUnits,
          std::string(name) + " is " + std::to_string(value) + ", must be from " +
              std::to_string(least) + " to " + std::to_string(kMostUnits));
}

void require_probability(float value, const char* policy) {
  require(value >= 0.F && value <= 1.F, std::string(policy) + ": " + std::to_string(value) +
                                            " is not a probability, must be from 0 to 1");
}

Action write_if(bool write) { return write ? Action::kWrite : Action::kRead; }

// What wait-k allows is held back for as long as the model is not sure.
Action write_if_sure(bool sure, const WaitK& wait_k, int64_t max_hold, const Observation& seen) {
  const bool settled = sure || seen.held >= max_hold || seen.finished;
  return write_if(settled && wait_k.decide(seen) == Action::kWrite);
}

std::vector<const Policy*> require_any(std::vector<const Policy*> policies, const char* name) {
  require(!policies.empty() && std::ranges::find(policies, nullptr) == policies.end(),
          std::string(name) + ": needs one policy or more");
  return policies;
}

}  // namespace

WaitK::WaitK(int64_t k, int64_t stride) : k_(k), stride_(stride) {
  require_count(k, 0, "wait-k: k");
  require_count(stride, 1, "wait-k: the stride");
}

Action WaitK::decide(const Observation& seen) const {
  const int64_t needed = k_ + seen.written / stride_ * stride_;
  return write_if(seen.read >= needed || seen.finished);
}

ConfidenceThreshold::ConfidenceThreshold(int64_t k, float threshold, int64_t max_hold,
                                         std::optional<float> stay)
    : wait_k_(k), least_{threshold, stay.value_or(threshold)}, max_hold_(max_hold) {
  require_probability(threshold, "confidence threshold");
  require_probability(least_.stay, "confidence threshold");
  require(least_.stay <= threshold, "confidence threshold: stay must not be above the threshold");
  require_count(max_hold, 0, "confidence threshold: the limit of steps");
}

Action ConfidenceThreshold::decide(const Observation& seen) const {
  return write_if_sure(seen.probability >= least_.at(seen), wait_k_, max_hold_, seen);
}

EntropyThreshold::EntropyThreshold(int64_t k, float threshold, int64_t max_hold,
                                   std::optional<float> stay)
    : wait_k_(k), most_{threshold, stay.value_or(threshold)}, max_hold_(max_hold) {
  require(threshold >= 0.F && threshold <= most_.stay && std::isfinite(most_.stay),
          "entropy threshold: needs 0 <= threshold <= stay, got " + std::to_string(threshold) +
              " and " + std::to_string(most_.stay));
  require_count(max_hold, 0, "entropy threshold: the limit of steps");
}

Action EntropyThreshold::decide(const Observation& seen) const {
  return write_if_sure(seen.entropy <= most_.at(seen), wait_k_, max_hold_, seen);
}

SilenceThreshold::SilenceThreshold(float base, float growth) : base_(base), growth_(growth) {
  require_probability(base, "silence threshold");
  require(std::isfinite(growth), "silence threshold: the growth must be a number");
}

Action SilenceThreshold::decide(const Observation& seen) const {
  const float threshold = base_ + growth_ * static_cast<float>(seen.turn);
  const bool silent = seen.silence > threshold && seen.silence >= seen.probability;
  return write_if(!silent);
}

LocalAgreement::LocalAgreement(int64_t tokens) : tokens_(tokens) {
  require_count(tokens, 1, "local agreement: tokens");
}

Action LocalAgreement::decide(const Observation& seen) const {
  require(seen.agreed >= 0,
          "local agreement: this loop compares no hypotheses; re-encode or allow deferrals");
  return write_if(seen.agreed >= tokens_ || seen.finished);
}

AlignAtt::AlignAtt(int64_t f) : f_(f) { require_count(f, 1, "alignatt: f"); }

Action AlignAtt::decide(const Observation& seen) const {
  if (seen.finished) return Action::kWrite;
  require(seen.attended_lag >= 0,
          "alignatt: no attention is captured; name the layers to capture when making the decoder");
  return write_if(seen.attended_lag >= f_);
}

OutsideThreshold::OutsideThreshold(float threshold, std::optional<float> stay)
    : least_{threshold, stay.value_or(threshold)} {
  require(std::isfinite(threshold) && std::isfinite(least_.stay) && least_.stay <= threshold,
          "outside threshold: needs numbers with stay <= threshold");
}

Action OutsideThreshold::decide(const Observation& seen) const {
  require(!std::isnan(seen.outside), "outside threshold: the loop was given no score from outside");
  return write_if(seen.outside >= least_.at(seen));
}

AllOf::AllOf(std::vector<const Policy*> policies)
    : policies_(require_any(std::move(policies), "all of")) {}

Action AllOf::decide(const Observation& seen) const {
  return write_if(std::ranges::all_of(
      policies_, [&](const Policy* policy) { return policy->decide(seen) == Action::kWrite; }));
}

AnyOf::AnyOf(std::vector<const Policy*> policies)
    : policies_(require_any(std::move(policies), "any of")) {}

Action AnyOf::decide(const Observation& seen) const {
  return write_if(std::ranges::any_of(
      policies_, [&](const Policy* policy) { return policy->decide(seen) == Action::kWrite; }));
}

}  // namespace edgestream
