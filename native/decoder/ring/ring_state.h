// SPDX-License-Identifier: Apache-2.0
// The state of a stream as a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace edgestream {

/// What a saved state must agree with.
struct StateIdentity {
  uint64_t model;      ///< GgufModel::fingerprint()
  std::string memory;  ///< what is kept and how, in words
};

/// A stream's past.
struct RingState {
  std::vector<int64_t> plan;    ///< numbers_of() its rows
  std::vector<std::byte> ring;  ///< KvRing::contents()
};

/// Writes `state` to `path`, whole or not at all. The file, little-endian: "EDGERING", u32 version,
/// u32 length of the memory's words, u64 model, u64 numbers of the plan, u64 bytes of the ring;
/// then these three; then a u64 checksum of the head and of each of the three. Throws
/// std::runtime_error when it cannot be written.
void write_state(const std::string& path, const StateIdentity& identity, const RingState& state);

/// Reads what write_state() wrote for the same identity. Throws std::invalid_argument, naming file
/// and finding, on a file that is none, is damaged or cut short, has another version, or is of
/// another model or memory.
RingState read_state(const std::string& path, const StateIdentity& identity);

}  // namespace edgestream
