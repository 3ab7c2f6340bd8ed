// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF file: refused with a std::exception, or a model that takes rows. What else
// happens, an abort of ggml's or a sanitizer's finding, is a crash.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "decoder/ring_decoder.h"

namespace {

// A file in memory, reached by a path as the loader wants it.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("gguf", 0)) {
    if (descriptor_ < 0) std::abort();
  }

  void write(const uint8_t* data, size_t n_bytes) const {
    if (ftruncate(descriptor_, 0) != 0) std::abort();
    if (pwrite(descriptor_, data, n_bytes, 0) != static_cast<ssize_t>(n_bytes)) std::abort();
  }

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  const int descriptor_;
};

void use(const std::string& path) {
  const auto model = std::make_shared<const edgestream::GgufModel>(path);
  edgestream::RingDecoder decoder(model, {.n_sinks = 1, .regions = {{.window = 4}}, .max_rows = 2});
  std::vector<float> row(decoder.n_embd());
  for (int32_t token = 0; token < 7; ++token) {
    decoder.token_embedding(token % decoder.n_vocab(), row);
    decoder.step(row);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  static const MemoryFile file;
  file.write(data, n_bytes);
  try {
    use(file.path());
  } catch (const std::exception&) {  // refused
  }
  return 0;
}
