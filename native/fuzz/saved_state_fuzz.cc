// SPDX-License-Identifier: Apache-2.0
// Any bytes as a saved state: refused with a std::exception, or a stream that goes on. A checksum
// keeps nearly all damage from the code behind it, so most inputs are a valid state in which the
// plan's numbers and the ring's bytes were changed before the checksum was made.
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "decoder/ring/ring_state.h"
#include "decoder/ring_decoder.h"
#include "tests/tiny_gguf.h"

namespace {

using edgestream::kTinyEmbd;
using edgestream::RegionRows;
using edgestream::RingDecoder;
using edgestream::RingDecoderConfig;
using edgestream::RingState;
using edgestream::StateIdentity;

constexpr size_t kHeadBytes = 40;       // as write_state() documents the file
constexpr size_t kMemoryLengthAt = 12;  // u32
constexpr size_t kModelAt = 16;         // u64

// Two regions in every layout, one whose rows leave by attention.
std::array<RingDecoderConfig, 5> memories() {
  const auto two = [](const char* layout) {
    return RingDecoderConfig{
        .n_sinks = 2, .regions = {{"input", 6}, {"output", 4}}, .max_rows = 4, .layout = layout};
  };
  const auto one = [](const char* retention) {
    return RingDecoderConfig{.n_sinks = 2,
                             .regions = {{"stream", 20}},
                             .max_rows = 4,
                             .retention = retention,
                             .recent = 5};
  };
  return {two("one-clock"), two("grouped"), two("overlap"), one("heavy-hitter"), one("merge")};
}

class Stream {
 public:
  Stream(const std::string& path, const RingDecoderConfig& memory) : path_(path) {
    const edgestream::TinyGguf file("edgestream_state_fuzz.gguf");
    decoder_ = std::make_unique<RingDecoder>(
        std::make_shared<const edgestream::GgufModel>(file.path()), memory);
    for (int i = 0; i < 9; ++i) use();
    decoder_->save(path_);
    identity_ = read_identity();
    state_ = edgestream::read_state(path_, identity_);
  }

  void take_raw(std::span<const uint8_t> bytes) {
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
    restore();
  }

  // Records of an index and a value: of the plan where the index is even, else of the ring.
  void take_forged(std::span<const uint8_t> bytes) {
    RingState forged = state_;
    for (; bytes.size() >= 10; bytes = bytes.subspan(10)) {
      uint16_t index = 0;
      int64_t value = 0;
      std::memcpy(&index, bytes.data(), sizeof index);
      std::memcpy(&value, bytes.data() + sizeof index, sizeof value);
      if (index % 2 == 0) {
        forged.plan[index / 2 % forged.plan.size()] = value;
      } else {
        forged.ring[index / 2 % forged.ring.size()] = static_cast<std::byte>(value);
      }
    }
    edgestream::write_state(path_, identity_, forged);
    restore();
  }

 private:
  void restore() {
    try {
      decoder_->restore(path_);
      for (int i = 0; i < 12; ++i) use();
    } catch (const std::exception&) {  // refused, or logits that are not finite
      decoder_->reset();
    }
  }

  void use() {
    const std::vector<float> rows(3 * kTinyEmbd, 0.5F);
    const std::span all(rows);
    const std::array groups = {RegionRows{0, all.first(2 * kTinyEmbd)},
                               RegionRows{decoder_->n_regions() - 1, all.first(kTinyEmbd)}};
    if (decoder_->pos() < 2) decoder_->step(all);
    decoder_->step(groups, edgestream::LogitsOf::kLastRow);
    decoder_->propose(groups);
    decoder_->keep(1);
    decoder_->begin_unit();
  }

  StateIdentity read_identity() const {
    std::ifstream file(path_, std::ios::binary);
    std::array<char, kHeadBytes> head{};
    file.read(head.data(), head.size());
    StateIdentity identity;
    uint32_t n_memory = 0;
    std::memcpy(&n_memory, head.data() + kMemoryLengthAt, sizeof n_memory);
    std::memcpy(&identity.model, head.data() + kModelAt, sizeof identity.model);
    identity.memory.resize(n_memory);
    file.read(identity.memory.data(), n_memory);
    return identity;
  }

  const std::string path_;
  std::unique_ptr<RingDecoder> decoder_;
  StateIdentity identity_;
  RingState state_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  static const std::string path = (std::filesystem::temp_directory_path() /
                                   ("edgestream_state_fuzz." + std::to_string(getpid())))
                                      .string();
  static const std::array configs = memories();
  static std::array<Stream, configs.size()> streams = {
      Stream(path, configs[0]), Stream(path, configs[1]), Stream(path, configs[2]),
      Stream(path, configs[3]), Stream(path, configs[4])};
  if (n_bytes == 0) return 0;
  Stream& stream = streams[data[0] / 2 % streams.size()];
  const std::span<const uint8_t> rest(data + 1, n_bytes - 1);
  if (data[0] % 2 == 0) {
    stream.take_forged(rest);
  } else {
    stream.take_raw(rest);
  }
  return 0;
}
