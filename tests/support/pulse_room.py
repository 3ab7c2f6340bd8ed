# SPDX-License-Identifier: Apache-2.0
"""A PulseAudio server of the tests' own, with a room whose sound is the default microphone."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

NEEDED = ("pulseaudio", "pacat", "pactl")
START_TIMEOUT_S = 10.0
ALSA_CONFIG = """
pcm.room { type pulse }
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


def missing() -> str:
    """Why there can be no room here; empty if there can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"{', '.join(absent)} not installed" if absent else ""


@dataclass
class PulseRoom:
    """`environment` is what a program needs to hear the room; nothing of the user's is touched."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run = self.home / "run"
        run.mkdir(mode=0o700)
        (self.home / ".asoundrc").write_text(ALSA_CONFIG)
        own = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(run), "DBUS_SESSION_BUS_ADDRESS": ""}
        dropped = ("PULSE_SERVER", "PULSE_SOURCE", "PULSE_SINK", "DISPLAY")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        self.environment = {**kept, **own}
        self.start()

    def start(self) -> None:
        """Open the room: a null sink whose monitor is the only source."""
        modules = (
            "module-native-protocol-unix auth-anonymous=1",
            "module-null-sink sink_name=room rate=48000 channels=2",
        )
        loads = [part for module in modules for part in ("-L", module)]
        self._server = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--disable-shm=yes",
                *loads,
            ],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while "room.monitor" not in self._sources():
            if time.monotonic() > deadline_s:
                self.close()
                raise TimeoutError("PulseAudio did not start")
            time.sleep(0.05)

    def close(self) -> None:
        """Everything in the room vanishes, as if it were unplugged."""
        self._server.kill()
        self._server.wait()

    def play(self, pcm: bytes, rate_hz: int) -> None:
        """Play s16le mono samples into the room, and wait until they have been heard."""
        format_options = ["--format=s16le", "--channels=1", f"--rate={rate_hz}"]
        subprocess.run(
            ["pacat", "--playback", "--device=room", *format_options],
            input=pcm,
            env=self.environment,
            check=True,
            timeout=60,
        )

    def _sources(self) -> str:
        command = ["pactl", "list", "short", "sources"]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout
