# SPDX-License-Identifier: Apache-2.0
"""Models that see: pictures in, comments out."""
