# SPDX-License-Identifier: Apache-2.0
"""Writers of model files; they need the extra `convert` (onnx, gguf), running a model does not."""
