# SPDX-License-Identifier: Apache-2.0
"""Models that hear: samples in, captions out."""
