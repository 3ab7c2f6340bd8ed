// SPDX-License-Identifier: Apache-2.0
#include "decoder/ring/ring_state.h"

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "core/ring/checksum.h"

namespace edgestream {

namespace {

static_assert(std::endian::native == std::endian::little, "files and memory have one byte order");

constexpr std::array<char, 8> kMagic = {'E', 'D', 'G', 'E', 'R', 'I', 'N', 'G'};
constexpr uint32_t kVersion = 2;
constexpr uint32_t kMaxMemoryWords = 1 << 16;
constexpr uint64_t kMaxBytes = uint64_t{1} << 40;

struct Head {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t n_memory = 0;
  uint64_t model = 0;
  uint64_t n_plan = 0;
  uint64_t n_ring = 0;
};
static_assert(sizeof(Head) == 40, "the head has no padding");

template <typename T>
std::span<const std::byte> bytes_of(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

[[noreturn]] void fail(const std::string& path, const std::string& finding) {
  throw std::invalid_argument("state " + path + ": " + finding);
}

// One after the other, and into the checksum.
class Writer {
 public:
  explicit Writer(const std::string& path) : stream_(path, std::ios::binary | std::ios::trunc) {}

  void put(std::span<const std::byte> piece) {
    checksum_.add(piece);
    write(piece);
  }

  bool finish() {
    const uint64_t value = checksum_.value();
    write(bytes_of(value));
    stream_.close();
    return stream_.good();
  }

 private:
  void write(std::span<const std::byte> piece) {
    stream_.write(reinterpret_cast<const char*>(piece.data()), std::ssize(piece));
  }

  std::ofstream stream_;
  Checksum checksum_;
};

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), stream_(path, std::ios::binary) {
    if (!stream_) fail(path, "cannot be read");
  }

  template <typename T>
  void get(T* first, size_t n) {
    read(first, n);
    checksum_.add(std::as_bytes(std::span(first, n)));
  }

  void check_sum() {
    uint64_t stored = 0;
    read(&stored, 1);
    if (stored != checksum_.value()) fail(path_, "is damaged: its checksum does not hold");
  }

 private:
  template <typename T>
  void read(T* first, size_t n) {
    const auto n_bytes = static_cast<std::streamsize>(n * sizeof(T));
    if (!stream_.read(reinterpret_cast<char*>(first), n_bytes)) fail(path_, "is cut short");
  }

  const std::string& path_;
  std::ifstream stream_;
  Checksum checksum_;
};

// Words of a file for a message: a forged file may hold anything.
std::string printable(std::string words) {
  std::ranges::replace_if(words, [](char c) { return c < ' ' || c > '~'; }, '?');
  return words;
}

// Before anything is believed of the sizes, they must make up the file's.
void check_head(const std::string& path, const Head& head, uint64_t n_file_bytes) {
  if (head.magic != kMagic) fail(path, "is no saved state");
  if (head.version != kVersion) {
    fail(path, "has version " + std::to_string(head.version) + "; this program reads version " +
                   std::to_string(kVersion));
  }
  const bool sane =
      head.n_memory <= kMaxMemoryWords && head.n_plan <= kMaxBytes / 8 && head.n_ring <= kMaxBytes;
  const uint64_t n_bytes =
      sizeof head + head.n_memory + head.n_plan * sizeof(int64_t) + head.n_ring + sizeof(uint64_t);
  if (!sane || n_bytes != n_file_bytes) {
    fail(path, "has " + std::to_string(n_file_bytes) + " bytes, not what its head says: damaged");
  }
}

}  // namespace

void write_state(const std::string& path, const StateIdentity& identity, const RingState& state) {
  const std::string part = path + ".part";
  Writer writer(part);
  const Head head{.n_memory = static_cast<uint32_t>(identity.memory.size()),
                  .model = identity.model,
                  .n_plan = state.plan.size(),
                  .n_ring = state.ring.size()};
  writer.put(bytes_of(head));
  writer.put(std::as_bytes(std::span(identity.memory)));
  writer.put(std::as_bytes(std::span(state.plan)));
  writer.put(state.ring);
  std::error_code error;
  if (writer.finish()) {
    std::filesystem::rename(part, path, error);
    if (!error) return;
  }
  std::filesystem::remove(part, error);
  throw std::runtime_error("state " + path +
                           ": cannot be written; is there such a folder, and room?");
}

RingState read_state(const std::string& path, const StateIdentity& identity) {
  Reader reader(path);
  std::error_code error;
  const uint64_t n_file_bytes = std::filesystem::file_size(path, error);
  if (error) fail(path, "cannot be read");
  Head head;
  reader.get(&head, 1);
  check_head(path, head, n_file_bytes);
  std::string memory(head.n_memory, '\0');
  reader.get(memory.data(), memory.size());
  RingState state{.plan = std::vector<int64_t>(head.n_plan),
                  .ring = std::vector<std::byte>(head.n_ring)};
  reader.get(state.plan.data(), state.plan.size());
  reader.get(state.ring.data(), state.ring.size());
  reader.check_sum();
  if (memory != identity.memory) {
    fail(path, "is of another memory: " + printable(memory) + "; this one: " + identity.memory);
  }
  if (head.model != identity.model) fail(path, "is of another model than this decoder's");
  return state;
}

}  // namespace edgestream
