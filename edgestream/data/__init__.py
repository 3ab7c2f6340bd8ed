# SPDX-License-Identifier: Apache-2.0
"""Recordings and small graphs that ship with the code."""

from pathlib import Path

DATA = Path(__file__).parent
