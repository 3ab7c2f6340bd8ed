# SPDX-License-Identifier: Apache-2.0
"""Tokenizers of checkpoints, in the form that GGUF files keep."""
