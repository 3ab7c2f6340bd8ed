// SPDX-License-Identifier: Apache-2.0
// The tensors that a kind of vision tower has, as libmtmd's graph takes them.
#pragma once

#include "decoder/file/mmproj.h"

namespace edgestream {

/// In what kinds of towers differ.
struct MmprojFamily {
  const char* projector;
  bool rotates = false;       ///< positions of any grid are rotations; else one grid's are learned
  bool two_patches = false;   ///< a patch has weights for each of two pictures in time
  bool fused = false;         ///< query, key and value are one matrix
  bool has_gate = false;      ///< in the feed-forward; and layers that see a part of the picture
  bool norm_biases = false;   ///< norms have biases
  bool needs_biases = false;  ///< query, key and value must have biases
  bool patch_bias = false;    ///< patches must have a bias
  bool learned_positions = false;
};

/// Fails unless the file has the tensors of `family`, of the sizes in `shape` and of types that can
/// be computed with, and no others. Fills in n_out and n_deepstack of `shape`.
void check_mmproj_tensors(const GgufFile& file, const MmprojFamily& family, MmprojShape& shape);

}  // namespace edgestream
