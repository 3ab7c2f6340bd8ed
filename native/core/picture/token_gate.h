// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edgestream {

/// Differential token drop behind the encoder of pictures (TimeChat-Online, arXiv 2504.17343).
///
/// A picture's embeddings lie on cells of a grid. One is dropped while its cosine with the last one
/// *kept* at its cell is above `max_cosine`; so slow drift adds up until it is seen. All embeddings
/// of the first picture are kept, and so is one that a memory of the newest rows may have lost
/// since: else what never changes would be forgotten for ever. Allocates nothing after
/// construction. One thread at a time.
class TokenGate {
 public:
  /// Throws std::invalid_argument when there are no cells, embeddings have no values, the grid is
  /// too large, `max_cosine` is not between -1 and 1, or a number of rows is negative. What is kept
  /// enters a memory of the newest `memory_rows` rows (0: one that keeps all), `rows_besides`
  /// others with each picture of which anything is kept.
  TokenGate(std::size_t n_cells, std::size_t n_embd, float max_cosine, std::int64_t memory_rows = 0,
            std::int64_t rows_besides = 0);

  /// Takes `embeddings` [n_cells, n_embd], writes to `kept` [n_cells] 1 for each that is kept, else
  /// 0, and returns how many are. An embedding that has no direction (zeros only, or values that
  /// are not finite) is kept. Throws std::invalid_argument when a span has another size.
  std::size_t push(std::span<const float> embeddings, std::span<std::uint8_t> kept);

  /// Back to the start of a stream: the next picture is a first one, all counts are 0.
  void reset() noexcept;

  [[nodiscard]] std::size_t n_cells() const noexcept { return n_cells_; }
  /// Share of all embeddings since the start that were dropped; 0 before the first picture.
  [[nodiscard]] double drop_ratio() const noexcept;

 private:
  bool may_be_lost(std::size_t cell) const noexcept;

  std::size_t n_cells_;
  std::size_t n_embd_;
  float max_cosine_;
  std::int64_t memory_rows_;
  std::int64_t rows_besides_;
  std::vector<float> kept_;            // [n_cells, n_embd]
  std::vector<std::int64_t> kept_at_;  // [n_cells] rows_ before the picture of which it is
  std::int64_t rows_ = 0;              // that entered the memory
  std::int64_t pictures_ = 0;
  std::int64_t kept_embeddings_ = 0;
};

}  // namespace edgestream
