# SPDX-License-Identifier: Apache-2.0
"""Text is spoken: final words in, in order and in any pieces; sound out."""
