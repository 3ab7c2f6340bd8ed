# SPDX-License-Identifier: Apache-2.0
"""What a client sets in `session.update`: checked, and laid over what held before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from edgestream.serve.asked import Asked, asked
from edgestream.serve.limits import Limits
from edgestream.serve.messages import is_number, is_text
from edgestream.serve.models import Models
from edgestream.serve.openai.companding import RATE_HZ, Companded, a_law_table, mu_law_table
from edgestream.serve.openai.model_names import ours
from edgestream.serve.refusal import RefusalError
from edgestream.sources.pcm_decoder import PcmDecoder
from edgestream.sources.sample_formats import SampleFormat

PCM_RATES_HZ = (24_000, 16_000)
LAWS = {"audio/pcmu": mu_law_table, "audio/pcma": a_law_table}
VADS: dict[str, dict[str, Any]] = {  # what OpenAI's are set to
    "server_vad": {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500},
    "semantic_vad": {"eagerness": "auto"},
}
DELAYS = {"minimal": "low", "low": "low", "medium": "normal", "high": "sure", "xhigh": "sure"}
LIFE_S = 3600
AT = "session.audio.input"


@dataclass(frozen=True, slots=True)
class RealtimeConfig:
    """One session's settings, in the shapes of the protocol; replaced, never changed."""

    model: str  # for clients that name none
    format: dict[str, Any] = field(default_factory=lambda: {"type": "audio/pcm", "rate": 24_000})
    turn_detection: dict[str, Any] | None = field(
        default_factory=lambda: {"type": "server_vad", **VADS["server_vad"]}
    )
    noise_reduction: dict[str, Any] | None = None
    transcription: dict[str, Any] = field(default_factory=dict)
    include: list[str] = field(default_factory=list)

    @property
    def rate_hz(self) -> int:
        """Of the sound that the client sends."""
        return int(self.format.get("rate", RATE_HZ))

    def decoder(self) -> PcmDecoder | Companded:
        """For the bytes that the client sends."""
        if law := LAWS.get(self.format["type"]):
            return Companded(law())
        return PcmDecoder(SampleFormat.s16le, 1, self.rate_hz)

    @property
    def hears_alike(self) -> tuple[Any, ...]:
        """What a stream is opened with: as long as it stays, the stream may go on."""
        return self.format, self.transcription, self.turn_detection is None

    def asked(self, models: Models, limits: Limits) -> Asked:
        """Raises an EdgestreamError where no model here can do it."""
        wanted = self.transcription
        delay, languages = wanted.get("delay"), wanted.get("languages") or []
        return asked(
            models,
            limits,
            model=ours(models, wanted.get("model")),
            language=wanted.get("language") or (languages[0] if len(languages) == 1 else None),
            prompt=wanted.get("prompt"),
            keywords=wanted.get("keywords") or [],
            delay=DELAYS[delay] if delay else None,
        )

    def with_model(self, name: str | None) -> RealtimeConfig:
        """With another model."""
        return replace(self, transcription={**self.transcription, "model": name})

    def of_vllm(self, model: str | None) -> RealtimeConfig:
        """As vLLM's clients have it."""
        name = model if model is not None else self.transcription.get("model")
        form = {"type": "audio/pcm", "rate": PCM_RATES_HZ[1]}
        return replace(self.with_model(name), format=form, turn_detection=None)

    def updated(self, session: dict[str, Any]) -> RealtimeConfig:
        """With the fields that are given. Raises RefusalError at the first that is wrong."""
        if session.get("type", "transcription") != "transcription":
            raise _bad("session.type", "this server answers to type 'transcription' only")
        audio = _table(session, "audio", "session.audio") or {}
        given = _table(audio, "input", AT) or {}
        changes: dict[str, Any] = {}
        if form := _table(given, "format", f"{AT}.format"):
            changes["format"] = _format(form)
        if "turn_detection" in given:
            turns = _table(given, "turn_detection", f"{AT}.turn_detection")
            changes["turn_detection"] = _turns(turns)
        if "noise_reduction" in given:
            changes["noise_reduction"] = _table(given, "noise_reduction", f"{AT}.noise_reduction")
        if "transcription" in given:
            wanted = _table(given, "transcription", f"{AT}.transcription")
            before = {} if wanted is None else self.transcription
            changes["transcription"] = _transcription(before, wanted or {})
        if "include" in session:
            changes["include"] = _texts(session, "include", "session.include")
        return replace(self, **changes)

    def effective(self, session_id: str) -> dict[str, Any]:
        """All of it, as the client is told."""
        return {
            "id": session_id,
            "object": "realtime.transcription_session",
            "type": "transcription",
            "expires_at": int(time.time()) + LIFE_S,
            "audio": {
                "input": {
                    "format": self.format,
                    "noise_reduction": self.noise_reduction,
                    "transcription": {"model": self.model, "language": None, "prompt": None}
                    | self.transcription,
                    "turn_detection": self.turn_detection,
                }
            },
            "include": self.include,
        }


def _format(given: dict[str, Any]) -> dict[str, Any]:
    kind = given.get("type", "audio/pcm")
    if kind == "audio/pcm":
        rate_hz = given.get("rate", PCM_RATES_HZ[0])
        if rate_hz not in PCM_RATES_HZ or isinstance(rate_hz, float):
            raise _bad(f"{AT}.format.rate", "of audio/pcm: 24000 or 16000")
        return {"type": kind, "rate": rate_hz}
    if not is_text(kind) or kind not in LAWS:
        raise _bad(f"{AT}.format.type", f"give audio/pcm, {' or '.join(LAWS)}")
    return {"type": kind}


def _turns(given: dict[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    kind = given.get("type", "server_vad")
    if not is_text(kind) or kind not in VADS:
        raise _bad(f"{AT}.turn_detection.type", f"give {' or '.join(VADS)}, or null for none")
    known = VADS[kind]
    for name, usual in known.items():
        fits: Callable[[Any], bool] = is_text if is_text(usual) else is_number
        if given.get(name) is not None and not fits(given[name]):
            raise _bad(f"{AT}.turn_detection.{name}", f"give such as {usual!r}")
    kept = {name: value for name, value in given.items() if name in known and value is not None}
    return {"type": kind, **known, **kept}


def _transcription(before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    at = f"{AT}.transcription"
    found = dict(before)
    for name in ("model", "language", "prompt", "delay"):
        if name in given:
            if given[name] is not None and not is_text(given[name]):
                raise _bad(f"{at}.{name}", "give a text")
            found[name] = given[name]
    if found.get("delay") is not None and found["delay"] not in DELAYS:
        raise _bad(f"{at}.delay", f"give one of {', '.join(DELAYS)}")
    for name in ("keywords", "languages"):
        if given.get(name) is not None:
            found[name] = _texts(given, name, f"{at}.{name}")
    return found


def _table(given: dict[str, Any], name: str, at: str) -> dict[str, Any] | None:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise _bad(at, "give an object")
    return value


def _texts(given: dict[str, Any], name: str, at: str) -> list[str]:
    value = given[name] or []
    if not isinstance(value, list) or not all(map(is_text, value)):
        raise _bad(at, "give a list of texts")
    return list(value)


def _bad(param: str, way_out: str) -> RefusalError:
    return RefusalError("bad-request", f"{param}: {way_out}", param)
