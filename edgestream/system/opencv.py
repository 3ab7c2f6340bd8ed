# SPDX-License-Identifier: Apache-2.0
"""OpenCV, which all that has to do with pictures takes from here: it comes with an extra."""

from __future__ import annotations

from edgestream.errors import UsageError

try:
    import cv2
    import cv2.typing
except ImportError as error:
    raise UsageError(f"pictures need OpenCV; pip install 'edgestream[watch]' ({error})") from error

__all__ = ["cv2"]
