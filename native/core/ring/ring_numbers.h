// SPDX-License-Identifier: Apache-2.0
// The rows of a ring as numbers and back.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/ring/ring_rows.h"

namespace edgestream {

/// All that a ring of the same shape needs to go on from here.
std::vector<int64_t> numbers_of(const RingRows& rows);

/// Rows of the same shape as `like`, as they were when numbers_of() was called; the numbers may
/// come from a damaged or hostile file. Throws std::invalid_argument on those that no ring of this
/// shape comes to.
RingRows rows_of(std::span<const int64_t> numbers, const RingRows& like);

}  // namespace edgestream
