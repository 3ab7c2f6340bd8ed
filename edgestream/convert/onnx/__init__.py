# SPDX-License-Identifier: Apache-2.0
"""Encoders and decoders as ONNX graphs."""
