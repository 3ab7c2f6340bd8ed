# SPDX-License-Identifier: Apache-2.0
"""Threads inside native libraries, around which no process may fork or end.

A thread that comes back from onnxruntime while the interpreter ends is ended in the middle of C++,
which stops the whole process with a message of its own. And a child that is forked while another
thread holds a lock inside a library waits for that lock for ever. So both wait for a moment in
which no thread is inside, and keep others out meanwhile.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_WAIT_S = 5.0  # for one step; a library that hangs longer holds up neither fork nor end


class Gate:
    """Lets threads in, again and again, and closes once they are out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: Counter[int] = Counter()  # how deep each thread is inside
        self._closed_by: Counter[int] = Counter()  # how often each thread did

    def enter(self) -> None:
        """Waits while another thread has closed the gate, unless this one is inside already."""
        me = threading.get_ident()
        with self._changed:
            while not self._inside[me] and any(ident != me for ident in self._closed_by):
                self._changed.wait()
            self._inside[me] += 1

    def leave(self) -> None:
        """As often as entered."""
        me = threading.get_ident()
        with self._changed:
            self._inside[me] -= 1
            if not self._inside[me]:
                del self._inside[me]
                self._changed.notify_all()

    def close(self) -> None:
        """Keeps threads out, and waits for those inside: LONGEST_WAIT_S at most."""
        until_s = time.monotonic() + LONGEST_WAIT_S
        with self._changed:
            self._closed_by[threading.get_ident()] += 1
            while self._others_inside() and (left_s := until_s - time.monotonic()) > 0:
                self._changed.wait(left_s)

    def open(self) -> None:
        """Takes one closing back."""
        with self._changed:
            self._closed_by -= Counter([threading.get_ident()])
            self._changed.notify_all()

    def open_in_child(self) -> None:
        """Of a forked process, whose only thread is this one."""
        me = threading.get_ident()
        self._changed = threading.Condition()  # the old one's owner may not be here
        self._inside = Counter({me: self._inside[me]} if self._inside[me] else {})
        self._closed_by.clear()

    def _others_inside(self) -> bool:
        return any(
            depth and ident != threading.get_ident() for ident, depth in self._inside.items()
        )


_GATE = Gate()
atexit.register(_GATE.close)
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(
        before=_GATE.close,
        after_in_parent=_GATE.open,
        after_in_child=_GATE.open_in_child,
    )


@contextmanager
def native_work() -> Iterator[None]:
    """Around a step that may release the interpreter's lock; also a decorator.

    For no more than a step or a second of input, since forking and ending wait for it.
    """
    _GATE.enter()
    try:
        yield
    finally:
        _GATE.leave()
