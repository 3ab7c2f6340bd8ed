# SPDX-License-Identifier: Apache-2.0
"""Which microphones and loudspeakers there are, through PortAudio."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from types import ModuleType

from edgestream.errors import DeviceError, UsageError
from edgestream.system.noise import caught


@dataclass(frozen=True, slots=True)
class Kind:
    """What sound comes from or goes to. `direction`: input or output, as PortAudio names it."""

    name: str
    direction: str
    see: str  # where all are listed
    instead: str  # what to do without one


MICROPHONE = Kind(
    "microphone", "input", "see edgestream listen --list-devices", "name an audio file"
)
LOUDSPEAKER = Kind(
    "loudspeaker", "output", "see python -m sounddevice", "write the speech into a file"
)
# Held from looking a device up until it is open, and while PortAudio starts again: that changes
# the indices, and cuts off what is open.
PORTAUDIO = threading.RLock()
# Open microphones and loudspeakers that somebody holds; changed while PORTAUDIO is held.
OPEN: weakref.WeakSet[object] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone or loudspeaker: `rate_hz` and `channels` are what it offers by itself."""

    index: int
    name: str
    host: str  # the sound system that offers it, such as ALSA or Core Audio
    channels: int
    rate_hz: int
    default: bool


def portaudio(kind: Kind) -> ModuleType:
    """The sounddevice module. Raises DeviceError where the PortAudio library is missing."""
    try:
        with caught():  # ALSA, JACK and others tell of each device that they do not find
            import sounddevice
    except OSError:
        raise DeviceError(
            f"{kind.name}: the PortAudio library is missing; install it (Debian, Ubuntu: apt-get"
            f" install libportaudio2; macOS: brew install portaudio) or {kind.instead}"
        ) from None
    module: ModuleType = sounddevice
    return module


def refresh(sounddevice: ModuleType) -> None:
    """Make PortAudio look again at what is plugged in.

    While a microphone or loudspeaker is open nothing is done: it would be cut off.
    """
    # PortAudio lists devices once, when it starts; sounddevice has no public name for a restart.
    with PORTAUDIO, caught():
        if OPEN:
            return
        sounddevice._terminate()
        sounddevice._initialize()


def list_devices(kind: Kind) -> list[Device]:
    """Everything of the kind; empty where there is nothing."""
    sounddevice = portaudio(kind)
    channels = f"max_{kind.direction}_channels"
    hosts = sounddevice.query_hostapis()
    default_index = _default_index(sounddevice, kind)
    return [
        Device(
            index=row["index"],
            name=row["name"],
            host=hosts[row["hostapi"]]["name"],
            channels=row[channels],
            rate_hz=round(row["default_samplerate"]),
            default=row["index"] == default_index,
        )
        for row in sounddevice.query_devices()
        if row[channels] > 0
    ]


def find_device(kind: Kind, wanted: str | int | None) -> Device:
    """The device of the kind with this index or name, or the default one for None.

    A name matches whole or in part, in any case; digits are an index. Raises DeviceError if there
    is none at all, UsageError if none or more than one is meant.
    """
    if isinstance(wanted, bool) or not isinstance(wanted, (str, int, type(None))):
        raise UsageError(f"{kind.name} {wanted!r:.40}: give its name or its index")
    devices = list_devices(kind)
    if not devices:
        raise DeviceError(f"{kind.name}: this machine has none; plug one in or {kind.instead}")
    if wanted is None:
        return next((device for device in devices if device.default), devices[0])
    if isinstance(wanted, int) or wanted.isdecimal():
        matches = [device for device in devices if device.index == int(wanted)]
    else:
        matches = _named(devices, wanted)
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UsageError(f"{kind.name} '{wanted}': there is none; {kind.see}")
    candidates = "; ".join(f"{device.index} {device.name} ({device.host})" for device in matches)
    raise UsageError(f"{kind.name} '{wanted}' may be any of: {candidates}; give its index")


def _named(devices: list[Device], wanted: str) -> list[Device]:
    whole = [device for device in devices if device.name.casefold() == wanted.casefold()]
    if len(whole) <= 1:
        part = [device for device in devices if wanted.casefold() in device.name.casefold()]
        return whole or part
    # Windows shows one device through several sound systems: the default's is meant.
    hosts = {device.host for device in devices if device.default}
    return [device for device in whole if device.host in hosts] or whole


def _default_index(sounddevice: ModuleType, kind: Kind) -> int:
    try:
        return int(sounddevice.query_devices(kind=kind.direction)["index"])
    except (sounddevice.PortAudioError, ValueError):
        return -1
