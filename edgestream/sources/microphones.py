# SPDX-License-Identifier: Apache-2.0
"""Which microphones there are."""

from __future__ import annotations

from edgestream.sources.sound_devices import MICROPHONE, Device
from edgestream.sources.sound_devices import find_device as find
from edgestream.sources.sound_devices import list_devices as devices


def list_devices() -> list[Device]:
    """Everything that can be listened to; empty where there is nothing."""
    return devices(MICROPHONE)


def find_device(wanted: str | int | None) -> Device:
    """The microphone with this index or name, or the default one for None.

    Raises DeviceError if there is none at all, UsageError if none or more than one is meant.
    """
    return find(MICROPHONE, wanted)
