# SPDX-License-Identifier: Apache-2.0
"""What stands around a sentence and its translation, as tokens of one model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgestream.decoder.tokenizer import Tokenizer
from edgestream.reader.chat import Chat
from edgestream.reader.translation.languages import examples, language_name

SYSTEM = (
    "You are an interpreter. Translate each sentence from {source} into {target}."
    " Answer with the translation alone."
)
PLAIN = "Sentences in {source}, and what they are in {target}."
MOST_OF_WORD = 64  # tokens of a word; what is longer is no word


@dataclass(frozen=True)
class Phrasing:
    """A conversation: a sentence, its translation, a sentence, ...

    Attributes:
        prompt: stands before everything, with a few sentences and their translations.
        opens: stands between a sentence and its translation.
        closes: stands between a translation and the next sentence; its first token ends the one.
        ends: tokens, any of which ends a translation.
        text: tokens of a piece of a sentence; `first` is its beginning.
    """

    prompt: list[int]
    opens: list[int]
    closes: list[int]
    ends: list[int]
    text: Callable[[str, bool], list[int]]

    def word(self, word: str, *, first: bool) -> list[int]:
        """The tokens of a word of a sentence."""
        return self.text(word if first else f" {word}", first)[:MOST_OF_WORD]


def phrase(chat: Chat, tokenizer: Tokenizer, source: str, target: str) -> Phrasing:
    """By the model's own chat template, or as a list of examples where it has none.

    `source`, `target`: codes of languages. Raises UsageError on one that is not known.
    """
    pairs = examples(source, target)
    names = {"source": language_name(source), "target": language_name(target)}
    if chat.is_plain:
        return _plain(chat, tokenizer, names, pairs)
    prompt = chat.prefix(SYSTEM.format(**names))
    for sentence, translation in pairs:
        prompt += [*chat.text(sentence, first=True), *chat.question("")]
        prompt += [*chat.answer_prefix(translation), *chat.after_answer()]
    newlines = [tokenizer.encode(text, add_special=False)[-1] for text in ("\n", "\n\n")]
    return Phrasing(
        prompt, chat.question(""), chat.after_answer(), [*chat.ends, *newlines],
        lambda text, first: chat.text(text, first=first),
    )  # fmt: skip


def _plain(
    chat: Chat, tokenizer: Tokenizer, names: dict[str, str], pairs: list[tuple[str, str]]
) -> Phrasing:
    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special=False)

    first, second = f"{names['source']}:", f"\n{names['target']}:"
    shown = "".join(f"{first} {a}{second} {b}\n\n" for a, b in pairs)
    prompt = tokenizer.first_tokens(encode(f"{PLAIN.format(**names)}\n\n{shown}{first}"))
    return Phrasing(
        prompt, encode(second), encode(f"\n\n{first}"), list(chat.ends),
        lambda text, first: encode(f" {text}" if first else text),
    )  # fmt: skip
