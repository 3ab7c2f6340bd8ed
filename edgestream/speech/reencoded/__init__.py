# SPDX-License-Identifier: Apache-2.0
"""Whisper and Moonshine: a window of sound that is decoded again and again as it grows."""
