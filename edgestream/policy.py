# SPDX-License-Identifier: Apache-2.0
"""When to write: the policies of the native core, trained heads as files, and both by name."""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgestream._native import (
    Action,
    AlignAtt,
    AllOf,
    AnyOf,
    ConfidenceThreshold,
    EntropyThreshold,
    LocalAgreement,
    Observation,
    OutsideThreshold,
    Policy,
    SilenceThreshold,
    TrainedHead,
    WaitK,
    head_features,
)
from edgestream.errors import ModelError, OutputError, UsageError
from edgestream.library.toml_file import read_toml, write_toml

__all__ = [
    "Action", "AlignAtt", "AllOf", "AnyOf", "ConfidenceThreshold", "EntropyThreshold", "Head",
    "LocalAgreement", "Observation", "OutsideThreshold", "Policy", "SilenceThreshold",
    "TrainedHead", "WaitK", "head_features", "read_head", "write_head",
]  # fmt: skip

LOCAL_AGREEMENT, ALIGNATT, WAIT_K = "local-agreement", "alignatt", "wait-k"
USUAL = {LOCAL_AGREEMENT: 2, ALIGNATT: 25, WAIT_K: 3}  # by name, each with its usual number
OF_WORDS = {LOCAL_AGREEMENT: 2, ALIGNATT: 2, WAIT_K: 3}  # where words are read and written
MOST = {LOCAL_AGREEMENT: 64, ALIGNATT: 1000, WAIT_K: 64}  # numbers of each
AND, OR = "+", "|"  # between policies that must all agree, and between such groups

FORMAT = 1
WRITTEN_BY = (
    "A trained policy; see docs/policies.md. Written by tools/train/policy/train_policy.py."
)
FEATURES = tuple(head_features(Observation()))


@dataclass(frozen=True, slots=True)
class Head:
    """A trained head: a perceptron with one hidden layer and the loop that it was trained in.

    `mean` and `scale` [inputs] normalise the features and log(latency weight); `hidden_weights` is
    [hidden * inputs], row by row. `latency_weight` is in errors a word for a second of latency, and
    may be set between `min_latency_weight` and `max_latency_weight`.
    """

    format: int
    description: str
    delay_frames: int
    deferrals: int
    latency_weight: float
    min_latency_weight: float
    max_latency_weight: float
    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    hidden_weights: tuple[float, ...]
    hidden_bias: tuple[float, ...]
    output_weights: tuple[float, ...]
    output_bias: float
    sha256: str  # of all the numbers from `mean` on as little-endian float32

    def policy(self, latency_weight: float | None = None) -> TrainedHead:
        """The policy; a larger weight of latency writes earlier.

        Raises UsageError when the weight is out of the range that was trained.
        """
        weight = self.latency_weight if latency_weight is None else latency_weight
        if not self.min_latency_weight <= weight <= self.max_latency_weight:
            raise UsageError(
                f"policy head: the latency weight {weight:g} is out of range; it was trained for"
                f" {self.min_latency_weight:g} to {self.max_latency_weight:g}"
            )
        return TrainedHead(
            mean=self.mean,
            scale=self.scale,
            hidden_weights=self.hidden_weights,
            hidden_bias=self.hidden_bias,
            output_weights=self.output_weights,
            output_bias=self.output_bias,
            latency_weight=weight,
            max_hold=self.deferrals,
        )


@dataclass(frozen=True, slots=True)
class ChosenPolicy:
    """What `policy=` says."""

    policy: Policy
    n_hypotheses: int = USUAL[LOCAL_AGREEMENT]  # that a loop of windows compares for it
    parts: tuple[Policy, ...] = ()  # that it is made of, if of several
    head: Head | None = None  # that it comes from
    n_words: int = 0  # that it waits for, of a wait-k


def choose_policy(
    given: object, model: str, *, named: bool, of_words: bool = False
) -> ChosenPolicy:
    """A Policy; of models that take them `named` a name too, `local-agreement:3`, or several with +
    (both) and | (either, binds less) between; of other models a Head or its file.

    `of_words`: what is read and written are words, and `wait-k:3` waits for three of them; else it
    holds back the last three tokens of a hypothesis.

    Raises UsageError on what is none or what `model` does not take, ModelError on a bad file.
    """
    if isinstance(given, Policy):
        return ChosenPolicy(given)
    if named and isinstance(given, str):
        groups = [
            [_by_name(name, model, of_words) for name in group.split(AND)]
            for group in given.split(OR)
        ]
        return _joined([_joined(group, AllOf) for group in groups], AnyOf)
    if not isinstance(given, (Head, str, os.PathLike)):
        raise UsageError(f"policy: {type(given).__name__} cannot be used; see docs/policies.md")
    if named:
        raise UsageError(
            f"{model}: a policy head decides for models of another family; {_try(USUAL)}"
        )
    if isinstance(given, str) and re.split("[:+|]", given)[0] in USUAL:
        raise UsageError(
            f"{model}: policy {given!r:.80} is for models that decode a window again and again;"
            " give a policy head's file"
        )
    head = given if isinstance(given, Head) else read_head(Path(given))
    return ChosenPolicy(head.policy(), head=head)


def _joined(parts: list[ChosenPolicy], join: type[AllOf] | type[AnyOf]) -> ChosenPolicy:
    """One policy of several, and all that it is made of."""
    if len(parts) == 1:
        return parts[0]
    policies = tuple(part.policy for part in parts)
    inner = tuple(each for part in parts for each in part.parts)
    return ChosenPolicy(join(*policies), max(p.n_hypotheses for p in parts), (*policies, *inner))


def _try(usual: dict[str, int]) -> str:
    known = ", ".join(f"{name}:{number}" for name, number in usual.items())
    return f"try {known}; + between two for both, | for either"


def _by_name(text: str, model: str, of_words: bool) -> ChosenPolicy:
    usual = OF_WORDS if of_words else USUAL
    name, colon, digits = text.partition(":")
    number = int(digits) if digits.isdecimal() else usual.get(name, 0)
    if name not in USUAL or (colon and not digits.isdecimal()) or not 0 < number <= MOST[name]:
        raise UsageError(f"{model}: policy {text!r:.80}: {_try(usual)}")
    if name == LOCAL_AGREEMENT:
        return ChosenPolicy(LocalAgreement(), number)
    if name == WAIT_K and of_words:
        return ChosenPolicy(WaitK(number), 1, n_words=number)
    if name == WAIT_K:  # of one hypothesis: with as many tokens behind the one that is written
        return ChosenPolicy(LocalAgreement(number + 1), 1)
    return ChosenPolicy(AlignAtt(number), 1)


def checksum(numbers: Sequence[float]) -> str:
    """sha256 of the numbers as little-endian float32."""
    return hashlib.sha256(struct.pack(f"<{len(numbers)}f", *numbers)).hexdigest()


def read_head(path: Path) -> Head:
    """Reads a head, a TOML file that tools/train/policy/train_policy.py wrote.

    Raises:
        ModelError: the file is missing, damaged or made for other features; one line says which.
    """
    head = read_toml(
        path, Head, way_out="make a policy head with tools/train/policy/train_policy.py"
    )
    _check(head, path)
    return head


def _check(head: Head, path: Path) -> None:
    if head.format != FORMAT:
        raise ModelError(f"{path}: format {head.format} (this version reads {FORMAT})")
    if head.features != FEATURES:
        raise ModelError(
            f"{path}: its features are {', '.join(head.features)}; this version has"
            f" {', '.join(FEATURES)}; train it again"[:400]
        )
    if not (0 <= head.delay_frames <= 4096 and 0 <= head.deferrals <= 8):
        raise ModelError(f"{path}: delay_frames must be 0 to 4096 and deferrals 0 to 8")
    if not 0 < head.min_latency_weight <= head.latency_weight <= head.max_latency_weight:
        raise ModelError(f"{path}: latency_weight must lie between its limits, above 0")
    try:
        digest = checksum(_numbers(head))
        head.policy()
    except (ValueError, OverflowError, struct.error) as error:  # of the native side: sizes, range
        raise ModelError(f"{path}: {error}") from None
    if digest != head.sha256:
        raise ModelError(f"{path}: altered or damaged (sha256 {digest[:12]}...); install it again")


def _numbers(head: Head) -> list[float]:
    return [
        *head.mean, *head.scale, *head.hidden_weights, *head.hidden_bias, *head.output_weights,
        head.output_bias,
    ]  # fmt: skip


def write_head(head: Head, path: Path) -> None:
    """Writes a head with the checksum of its numbers; raises OutputError if it cannot."""
    values = {name: getattr(head, name) for name in Head.__slots__}
    values["sha256"] = checksum(_numbers(head))
    try:
        write_toml(path, values, WRITTEN_BY)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
