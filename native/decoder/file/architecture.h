// SPDX-License-Identifier: Apache-2.0
// The architectures that can be computed, and in what they differ.
#pragma once

#include <string>
#include <string_view>

namespace edgestream {

/// All are decoders of gated feed-forward layers with RMS norms before attention and feed-forward.
/// What else a layer has:
struct Architecture {
  std::string_view name;          ///< general.architecture of a GGUF file
  bool multi_axis = false;        ///< rows have positions in time, height and width (M-RoPE)
  bool interleaves_axes = false;  ///< neighbouring pairs turn by different axes
  bool pairs_halves = false;     ///< rotation turns element i with i + head_dim / 2, not with i + 1
  bool rope_factors = false;     ///< may divide each frequency by a number of its own (Llama 3)
  bool deepstack = false;        ///< may add parts of input rows behind the first layers
  bool biases = false;           ///< may add biases to query, key and value
  bool delay_scales = false;     ///< may scale what the feed-forward reads by the stream's delay
  bool head_norms = false;       ///< norms each head of query and key before rotation
  bool post_norms = false;       ///< norms what attention and feed-forward add, too
  bool gelu = false;             ///< gates with GELU, not SiLU
  bool scales_tokens = false;    ///< multiplies token embeddings by the root of their width
  bool local_layers = false;     ///< may have layers that see only the nearest rows
  int unrotated_layer_step = 0;  ///< every so-many-th layer is not rotated; 0: all are
};

/// Null for an architecture that is not supported.
const Architecture* find_architecture(std::string_view name);

/// Those that are supported, with commas between.
std::string architecture_names();

}  // namespace edgestream
