// SPDX-License-Identifier: Apache-2.0
// A GGUF file as untrusted input: typed metadata, and tensors that really lie in the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "decoder/device/ggml_handles.h"

namespace edgestream {

using MetadataValue = std::variant<bool, int64_t, uint64_t, double, std::string, std::vector<bool>,
                                   std::vector<int64_t>, std::vector<uint64_t>, std::vector<double>,
                                   std::vector<std::string>>;

/// Where a tensor's data lies.
struct TensorEntry {
  std::string name;
  ggml_type type;
  int64_t shape[GGML_MAX_DIMS];  // ggml's order: width of a row first; 1 beyond the last dimension
  uint64_t file_offset;
  size_t n_bytes;
};

/// Every failure, a wrong type of a key included, is a std::invalid_argument that names the file
/// and what is wrong with it. Only the head of the file is read.
class GgufFile {
 public:
  explicit GgufFile(const std::string& path);

  const std::string& path() const { return path_; }

  /// The value of `key`, or nothing when the file has none.
  std::optional<MetadataValue> find(const std::string& key) const;
  std::optional<std::string> find_text(const std::string& key) const;
  /// A whole number of any width and sign.
  std::optional<int64_t> find_integer(const std::string& key) const;
  std::optional<double> find_number(const std::string& key) const;
  std::optional<bool> find_flag(const std::string& key) const;
  std::optional<std::vector<int64_t>> find_integers(const std::string& key) const;
  std::optional<std::vector<std::string>> find_texts(const std::string& key) const;
  /// Fails unless the file has no such key or stores its value as exactly `type`, an array's as
  /// `element`: for readers that stop the process on another one.
  void require_type(const std::string& key, gguf_type type,
                    gguf_type element = GGUF_TYPE_COUNT) const;

  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  /// Null when there is none of that name.
  const TensorEntry* find_tensor(std::string_view name) const;

  /// "path: what", for every error about this file.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  void list_tensors();
  [[noreturn]] void fail_type(const std::string& key, const char* wanted) const;

  std::string path_;
  GgufHandle gguf_;
  std::vector<TensorEntry> tensors_;
};

}  // namespace edgestream
