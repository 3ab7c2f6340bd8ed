// SPDX-License-Identifier: Apache-2.0
// The re-encoded paradigm: the window of input is decoded again whenever input arrives.
#pragma once

#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "core/loop/draft_batch.h"
#include "core/loop/turn_loop.h"
#include "core/policy/input_attention.h"

namespace edgestream {

struct ReencodedConfig {
  LoopConfig loop;                     ///< moves into the Loop; its sampler must be greedy
  std::vector<int32_t> before_window;  ///< before the input, in every decoding
  std::vector<int32_t> after_window;   ///< between the input and the committed tokens
  int max_rows = 0;                    ///< most input rows in the window; >= 1
  int keep_rows = 0;                   ///< rows that stay when it is trimmed; 1 to max_rows
  int max_hypothesis = 64;             ///< most tokens of a hypothesis beyond the committed ones
  int n_hypotheses = 2;     ///< as many newest hypotheses are compared, for Observation::agreed
  int n_draft = 0;          ///< tokens of the last hypothesis verified at once; 0: none
  int32_t first_time = -1;  ///< tokens from here on name places: heard, never written; -1: none
  std::vector<int32_t> sentence_ends;  ///< tokens behind which a window may begin
  int lag_rows = 0;  ///< input rows that attended_lag counts as one; 0: a unit, of any length
  /// While a hypothesis is as the last one, its next token is kept unless the likeliest is more
  /// likely by so many nats: what is shown wavers less. 0: always the likeliest.
  float loyalty = 0.F;
  /// A hypothesis ends where so many tokens are heard within fewer rows than crowd_rows: nobody
  /// speaks as fast, the model goes on by itself. 0 rows: never.
  int crowd_tokens = 1;
  int crowd_rows = 0;
};

/// Streaming with a model that reads all, then writes (Whisper-Streaming, Macháček et al. 2023;
/// local agreement, Liu et al. 2020): for each unit the decoder is reset and reads
///   before_window, input window, after_window, committed tokens
/// and writes a hypothesis greedily; the last hypothesis is the draft of this one. The policy
/// decides token by token how much of it is committed: never changed again.
///
/// Tokens from first_time on only help the model: they are in no hypothesis and are not committed.
///
/// Once the window is longer than keep_rows, what was heard up to the last committed token of
/// sentence_ends leaves it, with the tokens, where the decoder knows places.
///
/// Units may be of any length (push_unit), but a longer one than keep_rows is not heard whole.
///
/// Where the configuration says which tokens begin words, hypotheses agree in whole words, and a
/// word counts as attended to and as sure as the least of its tokens.
///
/// When the window is full its oldest rows leave, up to a boundary between committed tokens: the
/// end of the newest unit, older than keep_rows, with which a committed token had come. That token
/// and those before it leave with them, so that cost and memory stay bounded. Where nothing was
/// committed rows leave alone.
class ReencodedLoop final : public TurnLoop {
 public:
  /// `decoder` and `policy` must outlive the loop. The decoder's window must hold all of the above;
  /// what leaves it is not seen. Throws std::invalid_argument on numbers out of range, tokens that
  /// `decoder` does not have, or a sampler that is not greedy.
  ReencodedLoop(Decoder& decoder, const Policy& policy, ReencodedConfig config);

  const DraftCounts& draft_counts() const { return batch_.counts(); }

  /// The newest hypothesis beyond the committed tokens [up to max_hypothesis]; it may change. The
  /// view is valid until the next call.
  std::span<const int32_t> hypothesis() const { return hypothesis_; }

  /// Input rows of the window at which the tokens that the last turn wrote begin, then those of
  /// hypothesis(), and last the one at which what follows would; empty where the decoder does not
  /// know. The view is valid until the next call.
  std::span<const int32_t> places() const { return places_; }

  /// Input rows that have left the window: the place in the stream at which it starts.
  int64_t n_left() const { return n_left_; }

 private:
  struct Committed {
    int32_t token;
    int64_t since;  // rows that had been read when it came into the hypotheses, to stay
    int64_t end;    // row of the stream at which it ended; -1: not known
  };

  int64_t n_window_rows() const { return std::ssize(window_) / static_cast<int64_t>(width_); }
  bool is_time(int32_t token) const {
    return config_.first_time >= 0 && token >= config_.first_time;
  }

  void start() override;
  void read_unit(const InputUnit& unit) override;
  Proposal propose() override;
  void write_token(int32_t token) override;
  void end_turn(TurnEnd how, int32_t token, int n_written) override;

  void leave_sentences();
  void trim(int64_t n_read);
  void leave(int64_t n_rows);
  void remember_hypothesis();
  void encode();
  void decode();
  void keep_to(int32_t token, Proposal& proposal) const;
  void place();
  void note_input();
  void note_rows(int64_t first, int64_t end);
  void compare(int64_t n_read);
  size_t agreement(std::span<const int32_t> other) const;
  size_t word_end(size_t i) const;
  bool is_word_end(std::span<const int32_t> hypothesis, size_t n) const;

  const ReencodedConfig config_;
  HypothesisDrafter drafter_;
  DraftBatch batch_;
  InputAttention input_attention_;
  std::vector<float> window_;                  // [rows, n_embd] of the units that have not left
  std::vector<int64_t> unit_ends_;             // rows of the stream at which its units end
  int64_t n_left_ = 0;                         // rows that have left the window
  std::vector<Committed> committed_;           // that have not left with them
  std::vector<int32_t> hypothesis_;            // beyond the committed tokens
  std::vector<Proposal> proposals_;            // of the hypothesis' tokens
  std::vector<int32_t> draft_;                 // the hypothesis with the places between
  std::vector<int32_t> last_draft_;            // of the decoding before
  std::vector<size_t> order_;                  // of the hypothesis' tokens in the draft
  std::vector<int32_t> places_;                // of the last turn's tokens, then the hypothesis'
  size_t n_placed_ = 0;                        // of them that the last turn wrote
  std::vector<int64_t> since_;                 // of the hypothesis' tokens, as in Committed
  std::vector<std::vector<int32_t>> earlier_;  // hypotheses before, newest first
  int64_t n_decoded_ = 0;                      // hypotheses since reset
  size_t n_agreed_ = 0;                        // tokens on which the newest hypotheses agree
  size_t n_committed_ = 0;                     // tokens of the hypothesis committed in this turn
  std::vector<float> rows_;                    // on their way into the decoder
  std::span<const float> logits_;
};

}  // namespace edgestream
