# SPDX-License-Identifier: Apache-2.0
"""A conversation as tokens, in pieces that are read one after the other: the file's own template.

What people say never becomes a token with a meaning of its own: it is encoded apart from the
template's texts.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import llama_cpp

from edgestream._native import GgufModel
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import ModelError
from edgestream.reader.chat_pieces import PLAIN, ChatPieces, pieces_of
from edgestream.reader.template_process import UnusableTemplateError

TEMPLATE = "tokenizer.chat_template"
TOKENS, VOCABULARY = "tokenizer.ggml.tokens", "tokenizer.ggml.model"
BYTE_PAIRS = "gpt2"  # a vocabulary in which a newline is written as Ċ
ANCHOR = "\n"  # in front of a text that goes on where another ended


class Chat:
    """The turns of one model.

    Attributes:
        is_plain: the file has no template, as those of models that only go on with a text:
            questions are asked as "Question: ... Answer:".
        ends: tokens, any of which ends an answer; the template's own is the first.
    """

    def __init__(
        self, pieces: ChatPieces, tokenizer: Tokenizer, ends: Sequence[int] = (), *, is_plain: bool
    ) -> None:
        """`ends`: tokens that end an answer beside those that the file names.

        Raises ModelError where nothing ends an answer.
        """
        self.is_plain = is_plain
        self._pieces, self._tokenizer = pieces, tokenizer
        # A space before what is said belongs to its first word.
        self._space = " " if pieces.close_answer.endswith(" ") else ""
        self._adds_space = tokenizer.decode(tokenizer.encode("a", add_special=False)) == " a"
        closing = self._encode(pieces.close_answer.removesuffix(self._space), special=True)
        n_blank = next((i for i, token in enumerate(closing) if self._is_special(token)), 0)
        if not tokenizer.decode(closing[:n_blank]).strip():
            closing = closing[n_blank:]
        own = closing[:1] if closing and self._is_special(closing[0]) else []
        self.ends = list(dict.fromkeys([*own, *ends, *tokenizer.end_tokens()]))
        self._closing = closing if own else [*self.ends[:1], *closing]
        if not self.ends:
            raise ModelError(f"{tokenizer.path}: it names no token that ends an answer")

    def prefix(self, system: str) -> list[int]:
        """What stands before the first words of the user; `""`: without a system text, or with the
        model's own where its template has one."""
        system = system.strip()
        before = self._pieces.before_system if system else self._pieces.no_system
        begin = before if system else before.removesuffix(self._space)
        kept = " " if system and begin.endswith(" ") else ""
        # What begins a text has the space in front that a tokenizer may put there.
        encode = self._tokenizer.encode
        tokens = encode(begin.removesuffix(kept), add_special=False, special=True)
        if system:
            goes_on = self._encode if begin else functools.partial(encode, add_special=False)
            tokens += goes_on(kept + system)
            tokens += self._encode(
                self._pieces.after_system.removesuffix(self._space), special=True
            )
        return self._tokenizer.first_tokens(tokens)

    def text(self, words: str, *, first: bool = False) -> list[int]:
        """What somebody says in the user's turn. `first`: nothing was said in this turn yet."""
        return self._encode(self._space + words if first else words)

    def question(self, text: str, *, first: bool = False) -> list[int]:
        """A question at the end of the user's turn; closes that and opens the answer.

        Args:
            text: nothing else stands in its paragraph. `""`: the turn is closed as it is.
            first: nothing was said in this turn yet.
        """
        text, before = text.strip(), self._pieces.before_question
        asked = self.text((before.lstrip() if first else before) + text, first=first)
        return [*(asked if text else []), *self._encode(self._pieces.open_answer, special=True)]

    def answer_prefix(self, text: str) -> list[int]:
        """A beginning that the answer is given, behind `question()`."""
        return self._encode(f" {text}" if text and self.is_plain else text)

    def after_answer(self, *, ended: bool = False) -> list[int]:
        """Closes an answer and opens the user's next turn.

        `ended`: the token that ended the answer is in memory already.
        """
        return self._closing[1:] if ended else list(self._closing)

    def _encode(self, text: str, *, special: bool = False) -> list[int]:
        """Tokens of a text that goes on: without the space that some vocabularies (Llama 2's) put
        before every text."""
        encode = self._tokenizer.encode
        tokens = encode(text, add_special=False, special=special)
        if not self._adds_space or not text:
            return tokens
        before = encode(ANCHOR, add_special=False, special=special)
        whole = encode(ANCHOR + text, add_special=False, special=special)
        return whole[len(before) :] if whole[: len(before)] == before else tokens

    def _is_special(self, token: int) -> bool:
        vocab = llama_cpp.llama_model_get_vocab(self._tokenizer.model)
        return bool(
            llama_cpp.llama_vocab_is_control(vocab, token)
            or llama_cpp.llama_vocab_is_eog(vocab, token)
        )


def chat_of(weights: GgufModel, tokenizer: Tokenizer) -> Chat:
    """The chat of a file; weights and tokenizer are of the same.

    Raises:
        ModelError: its template cannot be used; one line says why.
    """
    template = weights.metadata(TEMPLATE)
    if template is None or template == "":
        return Chat(PLAIN, tokenizer, _newlines(weights, tokenizer), is_plain=True)
    if not isinstance(template, str):
        raise ModelError(f"{tokenizer.path}: {TEMPLATE} is no text; take another file of the model")
    try:
        pieces = pieces_of(
            template, *(_special(weights, tokenizer, name) for name in ("bos", "eos"))
        )
    except UnusableTemplateError as error:
        raise ModelError(
            f"{tokenizer.path}: its chat template {error}; take another file of the model"
        ) from None
    return Chat(pieces, tokenizer, is_plain=False)


def _special(weights: GgufModel, tokenizer: Tokenizer, name: str) -> str:
    """The text of a token that the file names, as templates write it."""
    token = weights.metadata(f"tokenizer.ggml.{name}_token_id")
    if not isinstance(token, int) or not 0 <= token < tokenizer.n_tokens:
        return ""
    return tokenizer.decode([token], special=True)


def _newlines(weights: GgufModel, tokenizer: Tokenizer) -> list[int]:
    """Every token with a newline in it: where a plain model's answer ends."""
    texts = weights.metadata(TOKENS)
    newline = "Ċ" if weights.metadata(VOCABULARY) == BYTE_PAIRS else "\n"
    first = tokenizer.encode("\n", add_special=False)[-1:]
    return [
        *first,
        *(
            i
            for i, text in enumerate(texts if isinstance(texts, list) else ())
            if newline in str(text)
        ),
    ]
