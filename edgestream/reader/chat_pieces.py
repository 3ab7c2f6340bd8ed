# SPDX-License-Identifier: Apache-2.0
"""A chat template, cut into the texts that stand around what is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgestream.reader.template_process import Message, UnusableTemplateError, render

SYSTEM = "Zq0system"  # markers: no template has a reason to change such words
USERS = ("Zq1asks", "Zq2asks", "Zq3asks")
ANSWERS = ("Zq4answers", "Zq5answers")
OTHER_SYSTEM = "Be brief. Two sentences at most; no lists."
OTHER_USERS = ("Who spoke?", "Of what, 3 or 4?", "When?", "1.5 is right, isn't it?", "Why")
OTHER_ANSWERS = ("Nobody yet.", "Four: no, five!", "At noon", "Yes")
BETWEEN = "\n\n"  # a system text and the user's, where a family has no system turn


@dataclass(frozen=True, slots=True)
class ChatPieces:
    """The texts of a template. A conversation is

        before_system, system, after_system, user's text, open_answer, answer, close_answer,
        user's text, open_answer, ...

    and begins with `no_system` alone where nobody gives a system text.
    """

    no_system: str
    before_system: str
    after_system: str
    open_answer: str
    close_answer: str
    before_question: str = "\n\n"  # behind other text in the same turn


PLAIN = ChatPieces("", "", "\n\n", "\nAnswer:", "\n", "\n\nQuestion: ")  # without a template


@dataclass(frozen=True, slots=True)
class _Cut:
    """One rendering, cut at its markers."""

    opening: list[str]  # before the first user's text: around the system text, if there is one
    open_answer: str  # of an answer that is known
    close_answer: str
    open_last: str  # of the answer that is to be written

    def joined(self, said: Sequence[str], users: Sequence[str], answers: Sequence[str]) -> str:
        """A conversation, out of the pieces."""
        text = "".join(a + b for a, b in zip(self.opening, [*said, ""], strict=True))
        for user, answer in zip(users, answers, strict=False):
            text += user + self.open_answer + answer + self.close_answer
        return text + users[-1] + self.open_last


def pieces_of(template: str, bos: str, eos: str) -> ChatPieces:
    """Renders a template for short conversations and cuts it up.

    A family without a system turn gets the system text at the head of the user's first one; so does
    one that would move it along from turn to turn, since what was read stays where it is.

    Raises:
        UnusableTemplateError: says why the template cannot be used.
    """
    turns, others = (USERS, ANSWERS), (OTHER_USERS, OTHER_ANSWERS)
    renderings = render(
        template,
        [
            _conversation([], *turns),
            _conversation([SYSTEM], *turns),
            _conversation([], *others),
            _conversation([OTHER_SYSTEM], *others),
        ],
        bos,
        eos,
    )
    bare = _checked(renderings[0], renderings[2], [], [])
    told = _checked(renderings[1], renderings[3], [SYSTEM], [OTHER_SYSTEM])
    usable = [cut for cut in (bare, told) if isinstance(cut, _Cut)]
    if not usable:
        assert isinstance(bare, UnusableTemplateError)
        raise bare
    turn = usable[0]
    if isinstance(told, _Cut) and told.close_answer == turn.close_answer:
        before, after = told.opening
    else:
        before, after = turn.opening[0], BETWEEN
    return ChatPieces(
        no_system=turn.opening[0] if isinstance(bare, _Cut) else before + after,
        before_system=before,
        after_system=after,
        open_answer=turn.open_last,
        close_answer=turn.close_answer,
    )


def _conversation(
    system: Sequence[str], users: Sequence[str], answers: Sequence[str]
) -> list[Message]:
    messages = [{"role": "system", "content": text} for text in system]
    for i, user in enumerate(users):
        messages.append({"role": "user", "content": user})
        messages += [{"role": "assistant", "content": text} for text in answers[i : i + 1]]
    return messages


def _checked(
    marked: str | UnusableTemplateError,
    other: str | UnusableTemplateError,
    system: Sequence[str],
    other_system: Sequence[str],
) -> _Cut | UnusableTemplateError:
    """The pieces of `marked`, if they make `other` too: a longer conversation of other words."""
    if isinstance(marked, UnusableTemplateError):
        return marked
    if isinstance(other, UnusableTemplateError):
        return other
    said = [USERS[0], ANSWERS[0], USERS[1], ANSWERS[1], USERS[2]]
    pieces = _cut(marked, [*system, *said])
    if pieces is None:
        return UnusableTemplateError("leaves out or repeats what is said")
    *opening, open_1, close_1, open_2, close_2, open_last = pieces
    cut = _Cut(opening, open_1, close_1, open_last)
    same = open_1 == open_2 and close_1 == close_2 and _goes_on(open_1, open_last)
    if same and cut.joined(other_system, OTHER_USERS, OTHER_ANSWERS) == other:
        return cut
    return UnusableTemplateError("does not put the same texts around each turn")


def _cut(text: str, markers: Sequence[str]) -> list[str] | None:
    """What stands before, between and behind the markers, if each is there once, in order."""
    pieces = []
    for marker in markers:
        before, found, text = text.partition(marker)
        if not found or marker in text:
            return None
        pieces.append(before)
    return [*pieces, text]


def _goes_on(known: str, last: str) -> bool:
    """Whether the opening of the last answer is that of one that is known: it may go on, with an
    empty thought (Qwen3), or leave the space before the answer to the model (Llama 2)."""
    return last.startswith(known) or known.rstrip() == last
