# SPDX-License-Identifier: Apache-2.0
"""What the server gives to one client at most. Each is checked before the work is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes. `sound_s` is decoded sound, however small it was packed."""

    connections: int = 512  # open at once
    sessions: int = 64  # whatever the machine could compute
    cores_share: float = 0.85  # that live sessions take; the rest is for protocols and fast talkers
    uploads: int = 4  # recordings that are captioned at once
    header_s: float = 10.0  # until a request's headers are there
    body_gap_s: float = 20.0  # between two pieces of a request's body
    body_s: float = 900.0  # until it is there
    upload_bytes: int = 512 << 20  # of one recording
    upload_sound_s: float = 4 * 3600.0  # of one recording, decoded
    message_bytes: int = 4 << 20  # of one message of a web socket
    hello_s: float = 10.0  # until a client has said what it wants
    idle_s: float = 60.0  # without a message of the client
    waiting_s: float = 5.0  # of sound that waits to be computed; its sender waits then
    resume_s: float = 30.0  # that a session waits for its client to come back
    kept_events: int = 1024  # that a client has not acknowledged; older ones are forgotten
    send_s: float = 10.0  # until a client takes one message
    prompt_characters: int = 2000
