# SPDX-License-Identifier: Apache-2.0
"""What onnxruntime runs: encoders, and decoders over a ring of keys and values."""
