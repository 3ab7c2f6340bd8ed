// SPDX-License-Identifier: Apache-2.0
// Which token is proposed: greedy, or drawn from a distribution that has been cut and sharpened.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace edgestream {

struct SamplerConfig {
  float temperature = 0.F;         ///< logits are divided by it; 0: greedy, the best token
  int top_k = 0;                   ///< only the k best tokens; 0: all
  float top_p = 1.F;               ///< only the best tokens that together reach this probability
  float min_p = 0.F;               ///< only tokens at least this probable relative to the best
  float repetition_penalty = 1.F;  ///< >= 1; 1: none
  int penalty_window = 64;         ///< newest written tokens that are penalized
  uint64_t seed = 0;               ///< the same seed draws the same tokens
};

/// A token that may still be drawn.
struct Candidate {
  int32_t token;
  float logit;
};

/// Makes the tokens of `recent` less likely, each once (Keskar et al. 2019, "CTRL"): a positive
/// logit is divided by `penalty`, a negative one multiplied. Tokens beyond `logits` are left out.
void penalize_repetition(std::span<float> logits, std::span<const int32_t> recent, float penalty);

/// Sorts the best `k` (0: all) of `candidates` to the front, the likelier and then the lower token
/// first, and returns how many those are. Tokens with a logit of -infinity are never among them.
size_t keep_top_k(std::span<Candidate> candidates, int k);

/// How many of the sorted `candidates` it takes to reach probability `p`, the one that reaches it
/// included (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"); at least 1.
size_t keep_top_p(std::span<const Candidate> candidates, float p);

/// How many of the sorted `candidates` are at least `p` times as probable as the first (Nguyen et
/// al. 2024, "Turning Up the Heat: Min-p Sampling"); at least 1.
size_t keep_min_p(std::span<const Candidate> candidates, float p);

/// The uniform numbers of a seed: SplitMix64 (Steele et al. 2014), the same on every platform.
class UniformNumbers {
 public:
  explicit UniformNumbers(uint64_t seed) : state_(seed) {}
  /// In [0, 1).
  double next();

 private:
  uint64_t state_;
};

/// Penalty, top-k, top-p, min-p, temperature, in this order, as llama.cpp does. Deterministic:
/// the tokens depend on the seed and the logits alone. Allocates nothing after construction.
class Sampler {
 public:
  /// Throws std::invalid_argument, naming the number and its range, on a value out of range.
  Sampler(const SamplerConfig& config, int n_vocab);

  /// Chooses a token from `logits` [1 to n_vocab], which the penalty changes. Throws
  /// std::invalid_argument when one is NaN or +infinity or all are -infinity.
  int32_t choose(std::span<float> logits);

  /// `token` was written: it counts for the penalty from now on.
  void accept(int32_t token);

  /// Nothing written, the seed's first number next.
  void reset();

 private:
  int32_t draw(std::span<const float> logits);

  const SamplerConfig config_;
  UniformNumbers uniform_;
  std::vector<Candidate> candidates_;  // [n_vocab]
  std::vector<double> weights_;        // [n_vocab] of the candidates that are left
  std::vector<int32_t> recent_;        // [penalty_window], a ring
  size_t n_written_ = 0;               // tokens accepted since reset
};

}  // namespace edgestream
