// SPDX-License-Identifier: Apache-2.0
// Takes ggml's log, which otherwise goes to stderr, for a while.
#pragma once

#include <ggml.h>

#include <mutex>

namespace edgestream {

/// While this lives, what ggml has to say goes to `callback`. The log is one for the process, hence
/// the lock: others wait.
class GgmlLog {
 public:
  GgmlLog(ggml_log_callback callback, void* data) : lock_(mutex()) {
    ggml_log_get(&previous_, &previous_data_);
    ggml_log_set(callback, data);
  }
  ~GgmlLog() { ggml_log_set(previous_, previous_data_); }
  GgmlLog(const GgmlLog&) = delete;
  GgmlLog& operator=(const GgmlLog&) = delete;

 private:
  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }

  const std::lock_guard<std::mutex> lock_;
  ggml_log_callback previous_ = nullptr;
  void* previous_data_ = nullptr;
};

}  // namespace edgestream
