// SPDX-License-Identifier: Apache-2.0
// Who sees whom in a step. `step` is the last that was planned over `rows`.
#pragma once

#include <span>
#include <vector>

#include "core/ring/ring_plan.h"

namespace edgestream {

/// Writes where a row of the step sees a slot the logarithm of the number of rows that it stands
/// for, 0 but for merged rows, and -infinity elsewhere to `mask` [n_rows, n_columns]: the columns
/// are the slots that the step reads.
void write_mask(const RingRows& rows, const RingStep& step, std::span<float> mask);

/// Of what write_mask() wrote, hides every slot that lies `reach` or farther from a row.
void hide_beyond(const RingRows& rows, const RingStep& step, int reach, std::span<float> mask);

/// Columns of the rows that the last row of the step sees in a region, oldest first.
void write_seen_columns(const RingRows& rows, const RingStep& step, int region,
                        std::vector<int>& columns);

}  // namespace edgestream
