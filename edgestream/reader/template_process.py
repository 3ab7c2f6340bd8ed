# SPDX-License-Identifier: Apache-2.0
"""Renders a chat template, in a process that may take little time and memory.

A template comes out of a file from anywhere, and Jinja2 is a language: `{{ 'a' * 10 ** 10 }}` is
short. Its sandbox keeps a template from Python's objects, but not from that. So it runs in a
process of its own, which ends with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_S = 4  # a rendering takes some milliseconds
LONGEST_WAIT_S = 60.0  # where other processes keep the cores busy
MEMORY_BYTES = 1 << 30  # of addresses
MAX_TEMPLATE = 1 << 20  # characters
MAX_TEXT = 1 << 16  # characters of a rendering; those of a few short turns have some hundred
MAX_REASON = 200  # characters

PACKAGES = str(Path(__file__).resolve().parents[2])  # where this package lies
# `python -m` would look for modules in the current folder first, where anybody's `json.py` may lie.
START = (
    "import sys; sys.path[:] = [each for each in sys.path if each] + sys.argv[1:];"
    f" from {__name__} import main; main()"
)

Message = dict[str, str]  # role and content


class UnusableTemplateError(Exception):
    """A template that cannot be rendered at all; says why."""


def render(
    template: str, conversations: Sequence[Sequence[Message]], bos: str, eos: str
) -> list[str | UnusableTemplateError]:
    """Each conversation, with the opening of an answer behind it, or why it cannot be rendered.

    Raises:
        UnusableTemplateError: it is too long, takes too much time or memory, or is no Jinja2.
    """
    if len(template) > MAX_TEMPLATE:
        raise UnusableTemplateError(
            f"has {len(template)} characters; at most {MAX_TEMPLATE} are read"
        )
    request = {"template": template, "conversations": conversations, "bos": bos, "eos": eos}
    try:
        done = subprocess.run(
            [sys.executable, "-c", START, PACKAGES],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST_WAIT_S,
        )
    except subprocess.TimeoutExpired:
        raise UnusableTemplateError(f"takes longer than {LONGEST_WAIT_S:g} s") from None
    if done.returncode != 0:
        raise UnusableTemplateError(
            f"takes more than {CPU_S} s or {MEMORY_BYTES >> 20} MB, or breaks what renders it (exit"
            f" code {done.returncode})"
        )
    answer = json.loads(done.stdout)
    if "refused" in answer:
        raise UnusableTemplateError(answer["refused"])
    return [
        each["text"] if "text" in each else UnusableTemplateError(each["reason"])
        for each in answer["each"]
    ]


class _Generation(Extension):
    """`{% generation %}...{% endgeneration %}`, with which transformers marks answers for training:
    what is inside is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012, Jinja2's own

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise(reason: object = "") -> None:
    raise TemplateError(str(reason))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """What transformers' `apply_chat_template()` gives a template, it has here."""
    now = datetime.now()
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    environment.globals.update(raise_exception=_raise, strftime_now=now.strftime)
    known = {
        "bos_token": request["bos"],
        "eos_token": request["eos"],
        "add_generation_prompt": True,
        "enable_thinking": False,  # Qwen3, SmolLM3
        "thinking": False,  # Granite, DeepSeek
        "tools": None,
    }
    try:
        template = environment.from_string(request["template"])
    except Exception as error:
        return {"refused": _reason(error)}
    each = []
    for messages in request["conversations"]:
        try:
            each.append({"text": _text(template.generate(messages=messages, **known))})
        except Exception as error:  # of whatever the template does
            each.append({"reason": _reason(error)})
    return {"each": each}


def _text(parts: Any) -> str:
    text = ""
    for part in parts:
        text += part
        if len(text) > MAX_TEXT:
            raise TemplateError(f"makes more than {MAX_TEXT} characters of a few short turns")
    return text


def _reason(error: Exception) -> str:
    line = getattr(error, "lineno", None)
    where = f" in line {line}" if line else ""
    return f"fails{where}: {(str(error) or type(error).__name__)[:MAX_REASON]}"


def _limit() -> None:
    """Where the system can: time and memory of this process."""
    try:
        import resource
    except ImportError:  # Windows, where only LONGEST_WAIT_S holds
        return
    for kind, wanted in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (most, hard))


def main() -> None:
    """The process: a request on stdin, its answer on stdout."""
    _limit()
    sys.stdout.write(json.dumps(_answer(json.load(sys.stdin))))
