# SPDX-License-Identifier: Apache-2.0
"""Writing that is bounded by a grammar: only tokens that go on with it are taken.

    grammar = Grammar(tokenizer, json_schema={"type": "object", ...})
    while not grammar.may_end:
        token = grammar.allowed(logits)
        grammar.accept(token)

llama.cpp's grammars (GBNF) say what may follow. Its sampler ends the process when it is told of a
token that does not fit, so each is tried first.
"""

from __future__ import annotations

import codecs
import ctypes
import re
import weakref
from collections.abc import Iterator
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import OperationError, UsageError
from edgestream.reader.schema import MAX_GRAMMAR, schema_grammar
from edgestream.system.noise import caught

ROOT = "root"
MAX_DEPTH = 300  # of brackets: libllama's parser calls itself for each
QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#.*')  # where brackets are letters
FIRST_TRIED = (1, 64, 4096)  # tokens, the likeliest; then all
CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
UNSPOKEN = llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN | llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
LEAST = np.finfo(np.float32).min
ANY_LINE = re.compile(b"")

Scores = NDArray[np.float32]


class Grammar:
    """Where in a grammar a text is. Not for several threads at once."""

    def __init__(
        self, tokenizer: Tokenizer, gbnf: str | None = None, json_schema: Any = None
    ) -> None:
        """`gbnf`: a grammar in llama.cpp's notation, whose rule `root` is the text; or
        `json_schema`: of JSON (see `edgestream.reader.schema` for what can be kept). Of your own
        grammars keep `("a"?){500}` away: all ways to read a text are tried at each token.

        Raises:
            UsageError: it is no such grammar, or no such schema.
        """
        if (gbnf is None) == (json_schema is None):
            raise UsageError("grammar: give either gbnf or json_schema")
        if gbnf is None:
            gbnf = schema_grammar(json_schema, "json_schema")
        self._tokenizer = tokenizer  # its vocabulary is the sampler's
        self._vocab = llama_cpp.llama_model_get_vocab(tokenizer.model)
        self._sampler = _sampler(self._vocab, gbnf)
        weakref.finalize(self, llama_cpp.llama_sampler_free, self._sampler)
        self._all = np.zeros(tokenizer.n_tokens, CANDIDATE)
        self._ends = [token for token in tokenizer.end_tokens() if self._is_end(token)]
        self._utf8 = codecs.getincrementaldecoder("utf-8")("strict")
        self._done = False

    @property
    def done(self) -> bool:
        """Whether an end token was accepted."""
        return self._done

    @property
    def may_end(self) -> bool:
        """Whether the text is whole as it is: it may end here, though more might follow."""
        return self._done or any(self._goes_on(token) for token in self._ends)

    def allowed(self, logits: Scores) -> int:
        """The likeliest token that goes on with the text; of equal ones the lowest.

        Args:
            logits: a score for each token of the vocabulary, float32 `[n_vocab]`.

        Raises:
            ValueError: not so many scores, one is no number, or the text is over.
            OperationError: the vocabulary has no token that goes on.
        """
        if logits.ndim != 1 or len(logits) < len(self._all):
            raise ValueError(f"grammar: {len(self._all)} scores wanted, not {logits.shape}")
        if self._done:
            raise ValueError("grammar: the text is over")
        logits = np.asarray(logits[: len(self._all)], np.float32)
        if np.isnan(logits[best := int(logits.argmax())]):
            raise ValueError("grammar: a score is no number")
        if self._goes_on(best):
            return best
        for candidates, surest in self._likeliest(logits):
            found = self._best(candidates)
            # Below the least of these others may be as likely.
            if found is not None and (surest is None or logits[found] > surest):
                return found
        raise OperationError("grammar: no token of the vocabulary goes on with the text")

    def accept(self, token: int) -> None:
        """The token is written.

        Raises ValueError where it does not go on with the text.
        """
        if not 0 <= token < len(self._all) or self._done or not self._goes_on(token):
            raise ValueError(f"grammar: the token {token} does not go on with the text")
        if self._is_end(token):
            self._done = True
            return
        self._utf8.decode(self._tokenizer.piece(token))
        llama_cpp.llama_sampler_accept(self._sampler, token)

    def reset(self) -> None:
        """The text begins anew."""
        llama_cpp.llama_sampler_reset(self._sampler)
        self._utf8.reset()
        self._done = False

    def _likeliest(self, logits: Scores) -> Iterator[tuple[NDArray[Any], float | None]]:
        """More and more candidates, and the score that none of the others is above."""
        for n in FIRST_TRIED:
            if 1 < n < len(logits):
                ids = np.argpartition(logits, -n)[-n:]
                yield self._candidates(ids, logits), float(logits[ids].min())
        yield self._candidates(np.arange(len(logits)), logits), None

    def _candidates(self, ids: NDArray[Any], logits: Scores) -> NDArray[Any]:
        chosen = self._all[: len(ids)]
        # The sampler says no with -inf, so no score may be that.
        chosen["id"], chosen["logit"] = ids, np.clip(logits[ids], LEAST, -LEAST)
        return chosen

    def _best(self, candidates: NDArray[Any]) -> int | None:
        self._apply(candidates)
        kept = candidates[np.isfinite(candidates["logit"])]
        for i in np.lexsort((kept["id"], -kept["logit"])):
            if self._can_be_said(int(kept["id"][i])):
                return int(kept["id"][i])
        return None

    def _goes_on(self, token: int) -> bool:
        candidates = np.zeros(1, CANDIDATE)
        candidates["id"] = token
        self._apply(candidates)
        return bool(np.isfinite(candidates["logit"][0])) and self._can_be_said(token)

    def _apply(self, candidates: NDArray[Any]) -> None:
        """The logits of those that do not fit become -inf."""
        data = candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(
            data=data, size=len(candidates), selected=-1, sorted=False
        )
        llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(array))

    def _can_be_said(self, token: int) -> bool:
        """Not a special token, whose name llama.cpp takes for text, and no damaged character: it
        takes two bytes that say a quote (an overlong one) for a quote."""
        pending = self._utf8.getstate()
        if self._is_end(token):
            return not pending[0]
        if llama_cpp.llama_vocab_get_attr(self._vocab, token) & UNSPOKEN:
            return False
        try:
            self._utf8.decode(self._tokenizer.piece(token))
        except UnicodeDecodeError:
            return False
        else:
            # Python tells half of a surrogate pair from a character by its third byte only.
            begun = self._utf8.getstate()[0]
            return begun[:1] != b"\xed" or begun[1:] < b"\xa0"
        finally:
            self._utf8.setstate(pending)

    def _is_end(self, token: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))


def _sampler(vocab: Any, gbnf: str) -> Any:
    if not gbnf.strip() or len(gbnf) > MAX_GRAMMAR or "\0" in gbnf:
        raise UsageError(f"grammar: a text of 1 to {MAX_GRAMMAR} characters is wanted")
    depth = 0
    for bracket in re.findall(r"[()]", QUOTED.sub("", gbnf)):
        depth = max(0, depth + (1 if bracket == "(" else -1))
        if depth > MAX_DEPTH:
            raise UsageError(f"grammar: brackets in brackets; at most {MAX_DEPTH} deep")
    with caught(ANY_LINE) as printed:
        data = gbnf.encode("utf-8", "replace")
        sampler = llama_cpp.llama_sampler_init_grammar(vocab, data, ROOT.encode())
    if not sampler:
        said = printed.lines[0].decode("utf-8", "replace") if printed.lines else ""
        reason = said.rpartition("grammar: ")[2].strip() or f"a rule begins with itself, or {ROOT}"
        raise UsageError(f"grammar: {reason}")
    return sampler
