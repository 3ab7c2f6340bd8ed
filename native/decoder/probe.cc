// SPDX-License-Identifier: Apache-2.0
// What a decoder would say behind each of several continuations of its past.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "decoder/one_caller.h"
#include "decoder/ring_decoder.h"

namespace edgestream {

void RingDecoder::check_probe(std::span<const float> trunk,
                              std::span<const std::span<const float>> branches, int region) const {
  if (plan_.pos() < plan_.shape().n_sinks) {
    throw std::invalid_argument("decoder: a probe needs all " +
                                std::to_string(plan_.shape().n_sinks) + " attention sinks, " +
                                std::to_string(plan_.pos()) + " have come");
  }
  if (plan_.counts_mass()) {
    throw std::invalid_argument("decoder: a probe needs the retention 'window', not '" +
                                config_.retention + "'");
  }
  if (branches.empty()) throw std::invalid_argument("decoder: a probe of no branches");
  int64_t n_trunk = 0;
  if (!trunk.empty()) {
    const RegionRows group{region, trunk};
    n_trunk = Decoder::checked_rows({&group, 1});
  }
  for (const std::span<const float> branch : branches) {
    const RegionRows group{region, branch};
    const int64_t n_rows = n_trunk + Decoder::checked_rows({&group, 1});
    if (n_rows <= max_proposal()) continue;
    throw std::invalid_argument("decoder: a branch of " + std::to_string(n_rows) +
                                " rows, with the " + std::to_string(n_trunk) +
                                " that it shares; this decoder takes up to " +
                                std::to_string(max_proposal()) + " (max_rows)");
  }
}

std::span<const float> RingDecoder::probe(std::span<const float> trunk,
                                          std::span<const std::span<const float>> branches,
                                          int region, BranchLogits wanted) {
  const OneCaller caller(busy_);
  state_.require_ready();
  check_probe(trunk, branches, region);
  const auto n_rows = [&](std::span<const float> rows) {
    return static_cast<int>(std::ssize(rows) / n_embd());
  };
  std::vector<int> lengths;
  for (const std::span<const float> branch : branches) lengths.push_back(n_rows(branch));
  const auto batches = branch_batches(n_rows(trunk), lengths, max_proposal(), wanted);
  state_.step([&] {
    runner_.results().clear();
    for (const BranchBatch& batch : batches) run_batch(batch, trunk, branches, region);
    plan_.drop_branches();
  });
  return runner_.results().logits();
}

void RingDecoder::run_batch(const BranchBatch& batch, std::span<const float> trunk,
                            std::span<const std::span<const float>> branches, int region) {
  const int n_all = static_cast<int>(batch.rows.size());
  for (int done = 0; done < n_all;) {
    const bool silent = done < batch.n_silent;
    const int n_rows = plan_.next_rows((silent ? batch.n_silent : n_all) - done);
    for (int row = 0; row < n_rows; ++row) {
      const BranchRow& at = batch.rows[done + row];
      const int branch = batch.branches[done + row];
      const int from = branch < 0 ? at.depth : at.n_own - 1;
      runner_.send_rows(row, (branch < 0 ? trunk : branches[branch])
                                 .subspan(static_cast<size_t>(from) * n_embd(), n_embd()));
    }
    runner_.run_branches(plan_, region, std::span(batch.rows).subspan(done, n_rows),
                         silent ? LogitsOf::kNone : LogitsOf::kEveryRow);
    done += n_rows;
  }
}

}  // namespace edgestream
