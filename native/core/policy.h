// SPDX-License-Identifier: Apache-2.0
// When to write: a policy maps counts and scores to READ or WRITE. It sees no model, clock or text.
#pragma once

#include <cstdint>
#include <limits>

namespace edgestream {

enum class Action { kRead, kWrite };

/// What a policy may look at when the model proposes a token.
struct Observation {
  int64_t read = 0;           ///< input units read so far, the current one included
  int64_t written = 0;        ///< tokens written so far
  int64_t held = 0;           ///< times in a row that a proposal was held back just before this
  int64_t turn = 0;           ///< tokens written since the last READ
  int64_t since_write = 0;    ///< input units read after the last written token; all if none is
  int64_t agreed = -1;        ///< hypothesis tokens beyond the written ones on which the last n
                              ///< hypotheses agree; -1 unless re-encoded
  int64_t attended_lag = -1;  ///< input units from the most attended to the newest; -1 if unknown
  bool finished = false;      ///< the source has ended: waiting brings nothing more
  bool writing = false;       ///< the last action was WRITE
  float probability = 0.F;    ///< of the proposed token, 0 to 1
  float margin = 0.F;         ///< probability of the likeliest token over that of the second
  float silence = 0.F;        ///< probability of the token that means nothing to write
  float entropy = 0.F;        ///< of the distribution it was taken from, in nats
  float outside = std::numeric_limits<float>::quiet_NaN();  ///< score of a decision from outside
};

/// Stateless; may be shared between streams and threads.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual Action decide(const Observation& seen) const = 0;
};

/// Wait-k (Ma et al. 2019, "STACL"): write while at least k units ahead of the writing are read.
class WaitK final : public Policy {
 public:
  /// k >= 0 input units; throws std::invalid_argument otherwise.
  explicit WaitK(int64_t k);
  Action decide(const Observation& seen) const override;

 private:
  int64_t k_;
};

/// Wait-k that also holds back a token which the model is unsure of, for at most `max_hold` steps:
/// later input often settles it, and what is shown never has to be taken back.
class ConfidenceThreshold final : public Policy {
 public:
  /// `threshold` in [0, 1] on the token's probability; throws std::invalid_argument otherwise.
  ConfidenceThreshold(int64_t k, float threshold, int64_t max_hold);
  Action decide(const Observation& seen) const override;

 private:
  WaitK wait_k_;
  float threshold_;
  int64_t max_hold_;
};

}  // namespace edgestream
