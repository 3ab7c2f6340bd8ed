# SPDX-License-Identifier: Apache-2.0
"""Tokens become words with times, and words become lines that people can read."""
