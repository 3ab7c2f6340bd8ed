# SPDX-License-Identifier: Apache-2.0
"""Simultaneous translation: when it may be written, and how source and target share a memory."""
