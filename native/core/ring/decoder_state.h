// SPDX-License-Identifier: Apache-2.0
// Which calls of a decoder fit.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/ring/stream_state.h"

namespace edgestream {

/// The rules of Decoder's calls, whatever computes the logits: while a proposal is open only
/// propose(), keep() and reset(); after a step that failed only reset().
class DecoderState {
 public:
  /// Rows of the open proposal; 0: none is open.
  int n_proposed() const { return n_proposed_; }
  bool failed() const { return stream_.failed(); }

  /// Throws std::invalid_argument while a proposal is open and std::runtime_error after a failure.
  void require_ready() const {
    if (n_proposed_ > 0) {
      throw std::invalid_argument("decoder: a proposal of " + std::to_string(n_proposed_) +
                                  " rows is open; keep() some or none of them first");
    }
    stream_.require_ready();
  }

  /// Computes a step.
  template <typename Act>
  void step(Act compute) {
    require_ready();
    stream_.run(compute);
  }

  /// Computes `n_rows` rows that open the proposal or add to it.
  template <typename Act>
  void propose(int64_t n_rows, int max_proposal, Act compute) {
    stream_.require_ready();
    n_rows += n_proposed_;
    if (n_rows > max_proposal) {
      throw std::invalid_argument("decoder: a proposal of " + std::to_string(n_rows) +
                                  " rows, this decoder takes up to " +
                                  std::to_string(max_proposal) + " (max_rows)");
    }
    stream_.run(compute);
    n_proposed_ = static_cast<int>(n_rows);
  }

  /// Throws std::invalid_argument when not so many rows are proposed, or none.
  void require_keep(int n_rows) const {
    if (n_rows >= 0 && n_rows <= n_proposed_ && n_proposed_ > 0) return;
    throw std::invalid_argument("decoder: cannot keep " + std::to_string(n_rows) +
                                " rows of an open proposal of " + std::to_string(n_proposed_));
  }

  void close_proposal() { n_proposed_ = 0; }

  void reset() {
    close_proposal();
    stream_.reset();
  }

 private:
  StreamState stream_{"decoder: an earlier step"};
  int n_proposed_ = 0;
};

}  // namespace edgestream
