// SPDX-License-Identifier: Apache-2.0
// The read/write loop: input units are read, and after each the policy says what is written.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/policy/policy.h"
#include "core/policy/sampler.h"
#include "core/ring/decoder.h"
#include "core/ring/proposal.h"
#include "core/ring/stream_state.h"

namespace edgestream {

/// What all paradigms share.
struct LoopConfig {
  int unit_rows = 1;              ///< rows of one input unit: 1 of audio or text, more of a picture
  int max_tokens_per_unit = 64;   ///< most tokens written after one unit
  int max_tokens_at_end = 256;    ///< most tokens written by finish()
  int32_t n_text = 0;             ///< only tokens below this are proposed; 0: all
  int32_t silence = -1;           ///< proposed when there is nothing to write; -1: none
  float silence_bias = 0.F;       ///< taken from the logit of silence
  bool overrule_silence = false;  ///< silence is never proposed: the policy decides by its score
  std::vector<int32_t> end_of_turn;  ///< any of these ends the writing until the next unit
  /// [n_vocab] 1 for tokens that begin a word; or empty: each token counts as one. The policy is
  /// asked where a word begins, and the word is written whole.
  std::vector<uint8_t> begins_word;
  SamplerConfig sampler;
};

/// Rows that are read together.
struct InputUnit {
  std::span<const float> rows;      ///< [n, n_embd], n >= 1
  std::span<const int32_t> tokens;  ///< [n] which token's embedding a row is; -1: none's
  std::span<const int32_t> axes;    ///< [n, kAxes] or empty, as in RegionRows
};

/// A token as it was written.
struct Written {
  int32_t token;
  float probability;
  int64_t read;  ///< input units read when it was written
};

/// One walk for every paradigm: units are read, and after each the policy decides about what the
/// model proposes. How units and tokens enter the decoder is the paradigm's, a subclass.
///
/// Tokens depend on the input alone, not on how push() cuts it: the unit is what counts. Allocates
/// nothing per unit once its buffers have grown to the longest one. Not thread-safe. After an
/// exception from the decoder or the policy the stream must be reset: std::runtime_error until
/// then.
class Loop {
 public:
  virtual ~Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Back to an empty stream.
  void reset();

  /// The score of a decision made outside (voice activity, a change of picture), for the policy to
  /// see from the next unit on; NaN: none.
  void set_outside(float score) { outside_ = score; }

  int n_embd() const { return decoder_.n_embd(); }     ///< width of an input row
  int64_t read() const { return read_; }               ///< input units since the last reset
  int64_t written() const { return counts_.written; }  ///< words or tokens since the last reset
  double read_ms() const { return read_ms_; }          ///< that the newest unit took to be read

 protected:
  /// As in Observation.
  struct Counts {
    int64_t written = 0;
    int64_t held = 0;
    int64_t turn = 0;
    int64_t since_write = 0;
  };

  /// Reads rows [n, n_embd], n >= 0, and returns what was written meanwhile; rows short of a unit
  /// wait for the next call. The view is valid until the next call. Throws std::invalid_argument
  /// on a ragged input.
  std::span<const Written> push(std::span<const float> rows);

  /// As push() of the tokens' embeddings; drafters see the tokens too.
  std::span<const Written> push_tokens(std::span<const int32_t> tokens);

  /// As push() of one whole unit of any length: rows [n, n_embd], n >= 1, with `axes` [n, kAxes] or
  /// none, as in RegionRows. Throws std::invalid_argument, too, while rows short of a unit wait.
  std::span<const Written> push_unit(std::span<const float> rows, std::span<const int32_t> axes);

  /// The input has ended: the policy may hold nothing back from now on.
  void end_input();

  /// The input has ended: reads a unit that is not complete, and writes the rest.
  std::span<const Written> finish();

  /// `decoder` and `policy` must outlive the loop. Throws std::invalid_argument, naming number and
  /// range, on a configuration that does not fit `decoder`.
  Loop(Decoder& decoder, const Policy& policy, LoopConfig config);

  /// An empty stream begins: the decoder is reset, prompts enter.
  virtual void start() = 0;
  /// A unit enters.
  virtual void read_unit(const InputUnit& unit) = 0;
  /// Writes what may be written after a unit, which read() counts by now.
  virtual void write_unit() = 0;
  /// Goes on with the counts of `other`. Throws std::runtime_error where a call of it failed.
  void follow(const Loop& other);
  /// Begins with what the decoder has read before; nothing is reset and no prompt enters.
  void go_on();
  /// Writes what is left when the source has ended.
  virtual void write_rest() {}

  /// Chooses a token by `logits` [n_vocab] with silence, sampler and configuration applied.
  Proposal choose(std::span<const float> logits);
  bool approves(const Proposal& proposal, const Counts& counts) const;
  /// A token is written: push() will return it. One that goes on with a word is not counted.
  void write(int32_t token, float probability);
  /// Whether a word, or what counts as one, begins with `token`.
  bool begins_word(int32_t token) const {
    return loop_config_.begins_word.empty() || loop_config_.begins_word[token] != 0;
  }
  void require_tokens(std::span<const int32_t> tokens, const char* name) const;
  /// Since the newest unit was whole.
  double unit_age_ms() const;

  Decoder& decoder_;
  const LoopConfig loop_config_;
  const size_t width_;  // n_embd
  Counts counts_;       // since reset

 private:
  template <typename Act>
  std::span<const Written> written_by(Act act);
  void append(std::span<const float> row, int32_t token);
  bool waits() const;
  void take_unit(const InputUnit& unit);

  const Policy& policy_;
  Sampler sampler_;
  std::vector<float> scores_;         // [n_text] logits with the bias of silence
  std::vector<float> unit_;           // [up to unit_rows, n_embd] that wait or were read last
  std::vector<int32_t> unit_tokens_;  // [up to unit_rows] beside them
  std::vector<float> row_;            // [n_embd] embedding of a pushed token
  std::vector<Written> out_;          // written since push() or finish() was called
  int64_t read_ = 0;                  // units since reset
  bool begun_ = false;                // the decoder has the stream's past
  std::chrono::steady_clock::time_point unit_came_;
  double read_ms_ = 0;
  float outside_ = std::numeric_limits<float>::quiet_NaN();
  bool input_ended_ = false;
  StreamState state_{"loop: an earlier call"};
};

}  // namespace edgestream
