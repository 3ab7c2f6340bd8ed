// SPDX-License-Identifier: Apache-2.0
#include "decoder/file/gguf_file.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "decoder/device/ggml_log.h"

namespace edgestream {

namespace {

// ggml tells why it refuses a file through its log only. While this lives, the first error is kept
// here instead of being printed.
class LogCapture {
 public:
  LogCapture() : log_(&LogCapture::keep, this) {}

  /// Without ggml's function name in front and the line's end.
  std::string reason() const {
    std::string text = first_error_.substr(0, first_error_.find_last_not_of('\n') + 1);
    const size_t name_end = text.find(": ");
    return name_end == std::string::npos ? text : text.substr(name_end + 2);
  }

 private:
  static void keep(ggml_log_level level, const char* text, void* self) {
    auto* const capture = static_cast<LogCapture*>(self);
    if (level == GGML_LOG_LEVEL_ERROR && capture->first_error_.empty())
      capture->first_error_ = text;
  }

  std::string first_error_;
  const GgmlLog log_;
};

// Hands `read` the C++ type that numbers of a GGUF type are stored as, and the one that they
// become.
template <typename Read>
MetadataValue read_as(gguf_type type, Read read) {
  switch (type) {
    case GGUF_TYPE_UINT8:
      return read.template operator()<uint8_t, int64_t>();
    case GGUF_TYPE_INT8:
      return read.template operator()<int8_t, int64_t>();
    case GGUF_TYPE_UINT16:
      return read.template operator()<uint16_t, int64_t>();
    case GGUF_TYPE_INT16:
      return read.template operator()<int16_t, int64_t>();
    case GGUF_TYPE_UINT32:
      return read.template operator()<uint32_t, int64_t>();
    case GGUF_TYPE_INT32:
      return read.template operator()<int32_t, int64_t>();
    case GGUF_TYPE_UINT64:
      return read.template operator()<uint64_t, uint64_t>();
    case GGUF_TYPE_INT64:
      return read.template operator()<int64_t, int64_t>();
    case GGUF_TYPE_FLOAT32:
      return read.template operator()<float, double>();
    case GGUF_TYPE_FLOAT64:
      return read.template operator()<double, double>();
    default:
      return read.template operator()<int8_t, bool>();
  }
}

MetadataValue read_array(const gguf_context* gguf, int64_t id) {
  const size_t n = gguf_get_arr_n(gguf, id);
  if (gguf_get_arr_type(gguf, id) == GGUF_TYPE_STRING) {
    std::vector<std::string> texts(n);
    for (size_t i = 0; i < n; ++i) texts[i] = gguf_get_arr_str(gguf, id, i);
    return texts;
  }
  return read_as(gguf_get_arr_type(gguf, id), [&]<typename Stored, typename Value>() {
    const auto* const first = static_cast<const Stored*>(gguf_get_arr_data(gguf, id));
    return MetadataValue(std::vector<Value>(first, first + n));
  });
}

MetadataValue read_value(const gguf_context* gguf, int64_t id) {
  const gguf_type type = gguf_get_kv_type(gguf, id);
  if (type == GGUF_TYPE_ARRAY) return read_array(gguf, id);
  if (type == GGUF_TYPE_STRING) return std::string(gguf_get_val_str(gguf, id));
  return read_as(type, [&]<typename Stored, typename Value>() {
    return MetadataValue(Value(*static_cast<const Stored*>(gguf_get_val_data(gguf, id))));
  });
}

GgufHandle read_head(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw std::invalid_argument(path + ": no such file");
  }
  LogCapture log;
  GgufHandle gguf(gguf_init_from_file(path.c_str(), {/*no_alloc=*/true, /*ctx=*/nullptr}));
  if (!gguf) {
    throw std::invalid_argument(path + ": not a readable GGUF file (" + log.reason() +
                                "); fetch it again");
  }
  return gguf;
}

}  // namespace

GgufFile::GgufFile(const std::string& path) : path_(path), gguf_(read_head(path)) {
  list_tensors();
}

// Names and texts of a hostile file are part of what is said: one line, nothing for a terminal to
// obey.
void GgufFile::fail(const std::string& what) const {
  std::string line = what;
  std::ranges::replace_if(line, [](char c) { return c < ' ' || c > '~'; }, '?');
  throw std::invalid_argument(path_ + ": " + line);
}

void GgufFile::fail_type(const std::string& key, const char* wanted) const {
  fail("the key " + key + " is not " + wanted);
}

void GgufFile::list_tensors() {
  const uint64_t file_size = std::filesystem::file_size(path_);
  const uint64_t data_offset = gguf_get_data_offset(gguf_.get());
  for (int64_t id = 0; id < gguf_get_n_tensors(gguf_.get()); ++id) {
    TensorEntry entry{gguf_get_tensor_name(gguf_.get(), id),
                      gguf_get_tensor_type(gguf_.get(), id),
                      {},
                      data_offset + gguf_get_tensor_offset(gguf_.get(), id),
                      gguf_get_tensor_size(gguf_.get(), id)};
    std::copy_n(gguf_get_tensor_ne(gguf_.get(), id), GGML_MAX_DIMS, entry.shape);
    if (entry.file_offset > file_size || file_size - entry.file_offset < entry.n_bytes) {
      fail("cut short: the tensor " + entry.name + " ends at byte " +
           std::to_string(entry.file_offset + entry.n_bytes) + " of " + std::to_string(file_size) +
           "; fetch it again");
    }
    tensors_.push_back(std::move(entry));
  }
}

std::optional<MetadataValue> GgufFile::find(const std::string& key) const {
  const int64_t id = gguf_find_key(gguf_.get(), key.c_str());
  if (id < 0) return std::nullopt;
  return read_value(gguf_.get(), id);
}

std::optional<std::string> GgufFile::find_text(const std::string& key) const {
  auto value = find(key);
  if (!value) return std::nullopt;
  if (!std::holds_alternative<std::string>(*value)) fail_type(key, "a text");
  return std::get<std::string>(std::move(*value));
}

std::optional<int64_t> GgufFile::find_integer(const std::string& key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  if (const auto* number = std::get_if<int64_t>(&*value)) return *number;
  const auto* number = std::get_if<uint64_t>(&*value);
  if (number == nullptr || !std::in_range<int64_t>(*number)) fail_type(key, "a whole number");
  return static_cast<int64_t>(*number);
}

std::optional<double> GgufFile::find_number(const std::string& key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  const auto* number = std::get_if<double>(&*value);
  if (number == nullptr) fail_type(key, "a number with a fraction");
  return *number;
}

std::optional<bool> GgufFile::find_flag(const std::string& key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  const auto* flag = std::get_if<bool>(&*value);
  if (flag == nullptr) fail_type(key, "true or false");
  return *flag;
}

std::optional<std::vector<int64_t>> GgufFile::find_integers(const std::string& key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(&*value)) return *numbers;
  const auto* numbers = std::get_if<std::vector<uint64_t>>(&*value);
  if (numbers == nullptr || !std::ranges::all_of(*numbers, std::in_range<int64_t, uint64_t>)) {
    fail_type(key, "a list of whole numbers");
  }
  return std::vector<int64_t>(numbers->begin(), numbers->end());
}

std::optional<std::vector<std::string>> GgufFile::find_texts(const std::string& key) const {
  auto value = find(key);
  if (!value) return std::nullopt;
  if (!std::holds_alternative<std::vector<std::string>>(*value)) fail_type(key, "a list of texts");
  return std::get<std::vector<std::string>>(std::move(*value));
}

void GgufFile::require_type(const std::string& key, gguf_type type, gguf_type element) const {
  const int64_t id = gguf_find_key(gguf_.get(), key.c_str());
  if (id < 0) return;
  const bool is_array = type == GGUF_TYPE_ARRAY;
  if (gguf_get_kv_type(gguf_.get(), id) == type &&
      (!is_array || gguf_get_arr_type(gguf_.get(), id) == element)) {
    return;
  }
  const std::string wanted = gguf_type_name(is_array ? element : type);
  fail("the key " + key + " is not " + (is_array ? "a list of " : "of the type ") + wanted);
}

const TensorEntry* GgufFile::find_tensor(std::string_view name) const {
  const auto found = std::ranges::find(tensors_, name, &TensorEntry::name);
  return found == tensors_.end() ? nullptr : &*found;
}

}  // namespace edgestream
