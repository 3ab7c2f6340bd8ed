// SPDX-License-Identifier: Apache-2.0
// A vision tower's file ("mmproj") as untrusted input: libmtmd, which computes it, stops the
// process on much that a damaged file can say.
#pragma once

#include <string>

#include "decoder/file/gguf_file.h"

namespace edgestream {

/// What a vision tower makes of a picture.
struct MmprojShape {
  std::string projector;  ///< idefics3, qwen2.5vl_merger or qwen3vl_merger
  int image_size = 0;  ///< pixels of a side; of the fixed grid, or that positions were trained on
  int patch_size = 0;  ///< pixels of a side
  int n_merge = 0;     ///< patches of a side that become one row
  int n_embd = 0;      ///< width within the tower
  int n_heads = 0;
  int n_layers = 0;
  int n_ff = 0;
  int n_out = 0;        ///< width of a row for the decoder's first layer
  int n_deepstack = 0;  ///< further parts of a row, for the layers behind it

  int row_width() const { return n_out * (1 + n_deepstack); }
};

/// Reads the head of the file. Throws std::invalid_argument, naming file and finding, unless
/// libmtmd of the pinned llama.cpp would take every key's type, every number, and the names, shapes
/// and types of all tensors: they are compared with the graph that it builds (tools/mtmd/clip.cpp).
MmprojShape read_mmproj_shape(const std::string& path);

}  // namespace edgestream
