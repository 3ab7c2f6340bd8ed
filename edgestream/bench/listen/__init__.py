# SPDX-License-Identifier: Apache-2.0
"""Captions under measurement."""
