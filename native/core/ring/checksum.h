// SPDX-License-Identifier: Apache-2.0
// A checksum that keeps up with the disk.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace edgestream {

/// 64 bits over a sequence of pieces: FNV-1a (Fowler, Noll and Vo) on words of 8 bytes, with a
/// rotation so that every bit of a word reaches all others. Finds damage and tells files apart;
/// does not withstand forgery. The pieces' borders count.
class Checksum {
 public:
  void add(std::span<const std::byte> piece) {
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= piece.size(); at += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, piece.data() + at, sizeof word);
      mix(word);
    }
    uint64_t rest = 0;
    if (at < piece.size()) std::memcpy(&rest, piece.data() + at, piece.size() - at);
    mix(rest);
    mix(piece.size());
  }

  uint64_t value() const { return value_; }

 private:
  void mix(uint64_t word) { value_ = std::rotl(value_ ^ word, 29) * 0x100000001B3; }

  uint64_t value_ = 0xCBF29CE484222325;
};

}  // namespace edgestream
