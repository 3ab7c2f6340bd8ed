# SPDX-License-Identifier: Apache-2.0
"""Decoders and vision towers as GGUF files."""
