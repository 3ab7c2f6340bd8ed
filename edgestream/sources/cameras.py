# SPDX-License-Identifier: Apache-2.0
"""Which cameras there are: what the kernel's V4L2 drivers say of each /dev/video*."""

from __future__ import annotations

import os
import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from edgestream.errors import UsageError

DEVICES = Path("/dev")
# Of <linux/videodev2.h>: struct v4l2_capability is driver[16], card[32], bus_info[32], version,
# capabilities, device_caps, reserved[3]; the request reads it.
CAPABILITY = struct.Struct("16s32s32sIII12x")
QUERY_CAPABILITY = 2 << 30 | CAPABILITY.size << 16 | ord("V") << 8
CAPTURES = 0x1 | 0x1000  # pictures in one plane or in several
OF_THE_DEVICE = 0x80000000  # device_caps are of this node, not of the whole card


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera as `watch` takes it: by `index`, or `path`."""

    index: int
    path: str
    name: str


def list_cameras() -> list[CameraInfo]:
    """The nodes that give pictures; a camera may have others, for its metadata.

    Raises:
        UsageError: not on Linux, where nothing but trying tells which cameras there are.
    """
    if sys.platform != "linux":
        raise UsageError("cameras can be listed on Linux only; try 0, 1, 2 as SOURCE")
    found = []
    for path in DEVICES.glob("video*"):
        number = re.fullmatch(r"video(\d+)", path.name)
        answer = _ask(path) if number else None
        name = None if answer is None else camera_name(answer)
        if number and name is not None:
            found.append(CameraInfo(int(number[1]), str(path), name))
    return sorted(found, key=lambda camera: camera.index)


def camera_name(answer: bytes) -> str | None:
    """What a driver calls its camera; None where the node gives no pictures."""
    _, card, _, _, of_card, of_node = CAPABILITY.unpack(answer)
    if not (of_node if of_card & OF_THE_DEVICE else of_card) & CAPTURES:
        return None
    name = card.split(b"\0")[0].decode("utf-8", "replace")
    return "".join(c for c in name if c.isprintable()) or "unnamed"


def _ask(path: Path) -> bytes | None:
    """What the driver says of the node; None of what is no camera, or not ours to open."""
    import fcntl

    answer = bytearray(CAPABILITY.size)
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.ioctl(device, QUERY_CAPABILITY, answer)
    except OSError:
        return None
    finally:
        os.close(device)
    return bytes(answer)
