# SPDX-License-Identifier: Apache-2.0
"""The three ways to translate while reading by their definitions, in float64."""

from __future__ import annotations

import functools

import numpy as np
from float64_translation import Float64Memory, agreement, greedy, in_words
from tiny_llama import TinyShape, stored_weights
from tiny_translator import N_LAYERS

from edgestream.reader.translation.phrasing import phrase
from edgestream.reader.translation.sentence import ends_part
from edgestream.reader.translation.words import word_beginnings


def sentences_of(text):
    """Lists of words, and whether each is whole."""
    words: list[str] = []
    for word in text.split():
        words.append(word)
        if ends_part(word, len(words)):
            yield words, True
            words = []
    if words:
        yield words, False


class Definition:
    """What all definitions need of a model."""

    longest, most, window = 12, 20, 70  # tokens at once, of a sentence, rows that are kept
    layers = (1,)  # the middle third of three

    def __init__(self, model, source):
        self.model, self.source = model, source
        self.weights = stored_weights(model.path)
        self.shape = TinyShape(
            n_layers=N_LAYERS, n_embd=32, n_ff=32, n_heads=2, n_kv_heads=1,
            n_vocab=len(self.weights["output.weight"]),
        )  # fmt: skip
        self.begins = word_beginnings(model.weights, "fr")
        self.said = []

    def text(self, tokens):
        return " ".join(self.model.tokenizer.decode(tokens).split())

    def draft(self, committed, whole):
        now = (self.text(whole), len(self.text(committed)))
        if now != self.last:
            self.said.append(now)
        self.last = now

    def end(self, tokens):
        if self.text(tokens):
            self.said.append((self.text(tokens), None))


class Reencoded(Definition):
    """The sentence so far, its committed translation, and what the model goes on with."""

    def tell(self, decide, n_hypotheses):
        p = phrase(self.model.chat, self.model.tokenizer, "en", "fr")
        memory = Float64Memory(
            self.shape, self.weights, p.prompt, [self.window], n_sinks=len(p.prompt)
        )
        for words, ended in sentences_of(self.source):
            committed, hypotheses, places, whole = [], [], [], []
            self.last = ("", 0)
            for i, word in enumerate(words):
                tokens = p.word(word, first=i == 0)
                places.append(range(memory.n_rows, memory.n_rows + len(tokens)))
                memory.enter(0, tokens)
                if len(committed) < self.most:
                    rows = [*p.opens, *committed]
                    lag = functools.partial(memory.lag, self.layers, places)
                    rest, lags = greedy(memory, rows, p.ends, self.longest, lag)
                    hypotheses.append([*committed, *rest])
                    shared = agreement(hypotheses[-n_hypotheses:], self.begins)
                    n_agreed = len(shared) if len(hypotheses) >= n_hypotheses else 0
                    committed = self.commit(decide, i + 1, committed, rest, lags, n_agreed)
                    whole = hypotheses[-1][: max(self.most, len(committed))]
                if i + 1 < len(words) or not ended:
                    self.draft(committed, whole)
            self.end(whole)
            memory.enter(0, [*p.opens, *whole, *p.closes])
        return self.said

    def commit(self, decide, n_read, committed, rest, lags, n_agreed):
        at = 0
        for word in in_words(rest, self.begins):
            end = at + len(word)
            agreed = len(committed) + len(word) <= n_agreed
            n_written = len(in_words(committed, self.begins))
            if not decide(n_read, n_written, min(lags[at:end]), agreed):
                break
            committed, at = [*committed, *word], end
        return committed


class Turns(Definition):
    """A unit is read, words are written until policy or model ends the turn."""

    def tell(self, decide, n_words=1):
        self.in_word, self.places, self.n_total = False, [], 0
        for words, ended in sentences_of(self.source):
            tokens, waiting, self.n_read, self.n_before = [], [], 0, self.n_total
            self.last = ("", 0)
            for i, word in enumerate(words):
                waiting.append(word)
                over = ended and i + 1 == len(words)
                if over or len(waiting) == n_words:
                    tokens += self.unit(waiting, decide, first=i + 1 == len(waiting), over=over)
                    waiting = []
                if not over:
                    self.draft(tokens, tokens)
            if waiting:
                tokens += self.unit(waiting, decide, first=len(words) == len(waiting), over=True)
            elif not ended and self.how != "model":
                tokens += self.turn(decide, True, 256)
            self.end(tokens)
        return self.said

    def unit(self, words, decide, *, first, over):
        self.n_read += 1
        self.read(words, first)
        return self.turn(decide, over, self.longest)

    def turn(self, decide, over, longest):
        written = []
        self.how = "limit"
        while len(written) < longest:
            token = int(np.argmax(self.logits()))
            if token in self.ends:
                self.how, self.last_token = "model", token
                break
            goes_on = self.in_word and not self.begins[token]
            if not (goes_on or over or self.allowed(decide)):
                self.how = "policy"
                break
            self.write(token)
            written.append(token)
            self.n_total += self.begins[token] or self.n_total == 0
            self.in_word = True
        if self.how != "limit":
            self.in_word = False
        self.n_turn = len(written)
        return written

    def allowed(self, decide):
        return decide(
            self.n_read,
            self.n_total - self.n_before,
            self.memory.lag(self.layers, self.places),
            False,
        )

    def enter_unit(self, region, tokens):
        self.places.append(range(self.memory.n_rows, self.memory.n_rows + len(tokens)))
        return self.memory.enter(region, tokens)


class Grouped(Turns):
    """Source and target in regions of their own; the newest target row is computed again with each
    unit, until something is written behind it."""

    def __init__(self, model, source, tokens_of, ends, before, after_turn, memory):
        super().__init__(model, source)
        self.tokens_of, self.ends, self.after_turn = tokens_of, ends, after_turn
        self.memory, self.newest = memory(self.shape, self.weights), before
        self.computed = None  # the logits behind the newest rows
        self.how = "policy"

    def read(self, words, first):
        if self.how == "model":
            self.newest = [self.last_token, *self.after_turn]
        elif self.computed is not None:
            self.memory.take_back(len(self.newest))
        self.computed = None
        self.enter_unit(0, self.tokens_of(words, first))

    def logits(self):
        if self.computed is None:
            self.computed = self.memory.enter(1, self.newest)
        return self.computed

    def write(self, token):
        self.newest, self.computed = [token], None


class Interleaved(Turns):
    """Source and target behind each other; what ends a turn enters before the next unit."""

    def __init__(self, model, source, tokens_of, ends, around, memory):
        super().__init__(model, source)
        self.tokens_of, self.ends = tokens_of, ends
        self.opens, self.after_turn, self.after_silence = around
        self.memory = memory(self.shape, self.weights)
        self.newest, self.how = [], "begun"

    def read(self, words, first):
        rows = [*self.newest, *self.closing()]
        if rows:
            self.memory.enter(0, rows)
        self.newest = []
        self.behind = self.enter_unit(0, self.tokens_of(words, first))
        if self.opens:
            self.behind = self.memory.enter(0, self.opens)

    def closing(self):
        if self.how == "begun":
            return []
        if self.how == "model":
            return [self.last_token, *self.after_turn]
        return [self.ends[0], *self.after_turn] if self.n_turn else self.after_silence

    def logits(self):
        if self.newest:
            self.behind, self.newest = self.memory.enter(0, self.newest), []
        return self.behind

    def write(self, token):
        self.newest = [token]
