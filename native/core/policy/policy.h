// SPDX-License-Identifier: Apache-2.0
// When to write: a policy maps counts and scores to READ or WRITE. It sees no model, clock or text.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace edgestream {

enum class Action { kRead, kWrite };

/// What a policy may look at when the model proposes a token.
struct Observation {
  int64_t read = 0;           ///< input units read so far, the current one included
  int64_t written = 0;        ///< tokens written so far; words, where the loop is told them
  int64_t held = 0;           ///< times in a row that a proposal was held back just before this
  int64_t turn = 0;           ///< of them those written since the last READ
  int64_t since_write = 0;    ///< input units read after the last written token; all if none is
  int64_t agreed = -1;        ///< hypothesis tokens beyond the written ones on which the last n
                              ///< hypotheses agree; -1 where the loop has but one
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

/// Wait-k (Ma et al. 2019, "STACL"): token t is written when k + t units are read; with a stride of
/// s, s tokens at a time: when k + s * floor(t / s) are. Once the source has ended, all that is
/// left.
class WaitK final : public Policy {
 public:
  /// k >= 0 input units, stride >= 1; throws std::invalid_argument otherwise.
  explicit WaitK(int64_t k, int64_t stride = 1);
  Action decide(const Observation& seen) const override;

 private:
  int64_t k_;
  int64_t stride_;
};

/// A threshold with hysteresis: `start` while the last action was READ, `stay` while it was WRITE,
/// so that a score that wavers between the two does not cut the writing into pieces.
struct Hysteresis {
  float start;
  float stay;
  float at(const Observation& seen) const { return seen.writing ? stay : start; }
};

/// Wait-k that also holds back a token which the model is unsure of, for at most `max_hold` steps:
/// later input often settles it, and what is shown never has to be taken back.
class ConfidenceThreshold final : public Policy {
 public:
  /// Writes from a probability of `threshold` on; while writing, from `stay` on (by default the
  /// same). 0 <= stay <= threshold <= 1; throws std::invalid_argument otherwise.
  ConfidenceThreshold(int64_t k, float threshold, int64_t max_hold, std::optional<float> stay = {});
  Action decide(const Observation& seen) const override;

 private:
  WaitK wait_k_;
  Hysteresis least_;
  int64_t max_hold_;
};

/// As ConfidenceThreshold, on the entropy of the distribution: writes up to `threshold` nats, while
/// writing up to `stay`.
class EntropyThreshold final : public Policy {
 public:
  /// 0 <= threshold <= stay, in nats; throws std::invalid_argument otherwise.
  EntropyThreshold(int64_t k, float threshold, int64_t max_hold, std::optional<float> stay = {});
  Action decide(const Observation& seen) const override;

 private:
  WaitK wait_k_;
  Hysteresis most_;
  int64_t max_hold_;
};

/// Silent while the silence token is the likeliest and more probable than base + growth * n, n
/// tokens into the turn. Growth 0: VideoLLM-online (Chen et al. 2024), where silence must be sure
/// of itself. A growth above 0 (LiveCC, Chen et al. 2025) lets a turn run on the longer it is.
class SilenceThreshold final : public Policy {
 public:
  /// base in [0, 1], growth finite; throws std::invalid_argument otherwise.
  explicit SilenceThreshold(float base, float growth = 0.F);
  Action decide(const Observation& seen) const override;

 private:
  float base_;
  float growth_;
};

/// Local agreement (Liu et al. 2020, "Low-Latency Sequence-to-Sequence Speech Recognition and
/// Translation by Partial Hypothesis Selection"; Polák et al. 2022): writes what the last n
/// hypotheses have in common; n is the loop's, which compares them.
class LocalAgreement final : public Policy {
 public:
  /// Writes while at least `tokens` >= 1 agreed tokens are unwritten, so that the last tokens - 1
  /// of the agreement wait; throws std::invalid_argument otherwise.
  explicit LocalAgreement(int64_t tokens = 1);
  /// Throws std::invalid_argument when the loop compares no hypotheses.
  Action decide(const Observation& seen) const override;

 private:
  int64_t tokens_;
};

/// AlignAtt (Papi et al. 2023): reads while the token attends most to one of the last `f` input
/// units, whose meaning later input may still change.
class AlignAtt final : public Policy {
 public:
  /// f >= 1 input units; throws std::invalid_argument otherwise.
  explicit AlignAtt(int64_t f);
  /// Throws std::invalid_argument when no attention is captured.
  Action decide(const Observation& seen) const override;

 private:
  int64_t f_;
};

/// A decision from outside (voice activity, a change of picture, another model): writes while its
/// score reaches the threshold.
class OutsideThreshold final : public Policy {
 public:
  /// Writes from `threshold` on; while writing, from `stay` <= threshold on (by default the same).
  /// Throws std::invalid_argument when one is not finite.
  explicit OutsideThreshold(float threshold, std::optional<float> stay = {});
  /// Throws std::invalid_argument when no score is given.
  Action decide(const Observation& seen) const override;

 private:
  Hysteresis least_;
};

/// WRITE when all of the policies say so.
class AllOf final : public Policy {
 public:
  /// The policies must outlive it. Throws std::invalid_argument when there are none.
  explicit AllOf(std::vector<const Policy*> policies);
  Action decide(const Observation& seen) const override;

 private:
  std::vector<const Policy*> policies_;
};

/// WRITE when one of the policies says so.
class AnyOf final : public Policy {
 public:
  /// The policies must outlive it. Throws std::invalid_argument when there are none.
  explicit AnyOf(std::vector<const Policy*> policies);
  Action decide(const Observation& seen) const override;

 private:
  std::vector<const Policy*> policies_;
};

}  // namespace edgestream
