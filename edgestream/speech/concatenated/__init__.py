# SPDX-License-Identifier: Apache-2.0
"""Models that read one embedding for each step of sound, and write at most one token."""
