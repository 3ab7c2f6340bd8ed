# SPDX-License-Identifier: Apache-2.0
"""What `watch` gives comments to beside its output: a command, a server, a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgestream.errors import UsageError

if TYPE_CHECKING:
    from edgestream.outlets.open import Companion


def companions(
    command: str | None, url: str | None, folder: Path | None, max_pictures: int | None
) -> list[Companion]:
    """Those that were asked for; raises UsageError on what can be none of them."""
    from edgestream.outlets.delivery import Delivery, Receiver
    from edgestream.outlets.receivers import CommandReceiver, PostReceiver
    from edgestream.outlets.snapshots import USUAL_MAX, Snapshots

    if max_pictures is not None and folder is None:
        raise UsageError("--snapshots-max is for --snapshots only; leave it out")
    found: list[Companion] = []
    if folder is not None:
        found.append(Snapshots(folder, USUAL_MAX if max_pictures is None else max_pictures))
    receivers: list[Receiver] = []
    receivers += [] if command is None else [CommandReceiver(command)]
    receivers += [] if url is None else [PostReceiver(url)]
    return found + [Delivery(receiver) for receiver in receivers]
