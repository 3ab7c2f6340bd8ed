// SPDX-License-Identifier: Apache-2.0
// Runs loops over rows cut in any way.
#pragma once

#include <doctest/doctest.h>

#include <span>
#include <vector>

#include "core/loop/drafter.h"
#include "core/loop/turn_loop.h"
#include "core/policy/policy.h"
#include "toy_decoder.h"

namespace edgestream {

inline bool operator==(const Written& a, const Written& b) {
  return a.token == b.token && a.probability == b.probability && a.read == b.read;
}

/// Everything written for `rows`, pushed in pieces of `cuts` rows, and by finish().
inline std::vector<Written> run_stream(TurnLoop& loop, std::span<const float> rows,
                                       std::span<const int> cuts) {
  loop.reset();
  std::vector<Written> all;
  const auto add = [&all](std::span<const Written> some) {
    all.insert(all.end(), some.begin(), some.end());
  };
  for (const int n : cuts) {
    add(loop.push(rows.first(n * kToyWidth)));
    rows = rows.subspan(n * kToyWidth);
  }
  add(loop.finish());
  return all;
}

/// Checks that a loop writes `expected` for `rows` cut in several ways, with drafts and without.
template <typename SomeLoop, typename Config>
void check_cuttings(const Config& config, const Policy& policy, int n_regions,
                    std::span<const float> rows, const std::vector<Written>& expected,
                    unsigned seed) {
  ToyDecoder decoder(n_regions);
  SomeLoop plain(decoder, policy, config);
  Config drafting = config;
  drafting.n_draft = 4;
  NgramDrafter drafter(1, 2, 64);
  ToyDecoder other(n_regions);
  SomeLoop drafted(other, policy, drafting, &drafter);
  const auto n_rows = static_cast<int>(rows.size() / kToyWidth);
  for (unsigned cut = 0; cut < 3; ++cut) {
    const auto cuts = cut == 0 ? std::vector<int>{n_rows} : toy_cuts(n_rows, 10 * seed + cut);
    CHECK(run_stream(plain, rows, cuts) == expected);
    CHECK(run_stream(drafted, rows, cuts) == expected);
  }
}

inline std::vector<int32_t> tokens_of(std::span<const Written> written) {
  std::vector<int32_t> tokens;
  for (const Written& one : written) tokens.push_back(one.token);
  return tokens;
}

class EagerPolicy final : public Policy {
 public:
  Action decide(const Observation&) const override { return Action::kWrite; }
};

/// A policy as uneven as can be: depends on counts and scores, not on anything else.
class MoodyPolicy final : public Policy {
 public:
  Action decide(const Observation& seen) const override {
    const bool sure = seen.probability > 0.4F || seen.entropy < 1.F;
    return seen.finished || (sure && (seen.read + 2 * seen.written) % 5 != 0) ? Action::kWrite
                                                                              : Action::kRead;
  }
};

}  // namespace edgestream
