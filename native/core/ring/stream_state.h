// SPDX-License-Identifier: Apache-2.0
// Whether a stream can go on.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace edgestream {

/// Ready, at work in a call, or failed: a call did not come to its end, and only reset() helps.
class StreamState {
 public:
  /// `call` is what the stream does, for messages: "loop: an earlier call".
  explicit StreamState(std::string call) : call_(std::move(call)) {}

  bool failed() const { return now_ == kFailed; }
  /// Throws std::runtime_error.
  void require_ready() const {
    if (now_ == kFailed) throw std::runtime_error(call_ + " failed; reset the stream");
    if (now_ == kAtWork) throw std::runtime_error(call_ + " is not done yet");
  }

  /// Runs a call.
  template <typename Act>
  void run(Act act) {
    require_ready();
    now_ = kAtWork;
    try {
      act();
    } catch (...) {
      now_ = kFailed;
      throw;
    }
    now_ = kReady;
  }

  void reset() { now_ = kReady; }

 private:
  const std::string call_;
  enum { kReady, kAtWork, kFailed } now_ = kReady;
};

}  // namespace edgestream
