// SPDX-License-Identifier: Apache-2.0
// One thread at a time.
#pragma once

#include <atomic>
#include <stdexcept>

namespace edgestream {

/// Marks a decoder as at work for as long as it lives. Throws std::runtime_error when it is
/// already.
class OneCaller {
 public:
  explicit OneCaller(std::atomic_flag& busy) : busy_(busy) {
    if (busy_.test_and_set(std::memory_order_acquire)) {
      throw std::runtime_error("decoder: another thread is using it; give each its own");
    }
  }
  ~OneCaller() { busy_.clear(std::memory_order_release); }
  OneCaller(const OneCaller&) = delete;
  OneCaller& operator=(const OneCaller&) = delete;

 private:
  std::atomic_flag& busy_;
};

}  // namespace edgestream
