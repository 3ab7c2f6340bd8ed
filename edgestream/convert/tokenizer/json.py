# SPDX-License-Identifier: Apache-2.0
"""tokenizer.json of the `tokenizers` library: BPE over bytes, or SentencePiece's BPE rewritten."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from edgestream.convert.tokenizer.vocabulary import BYTE_TOKENS, TokenType, Vocabulary
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields

SPACE = "\u2581"  # SentencePiece's
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TEKKEN_PATTERN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Of a model what changes nothing, by field.
UNCHANGING: dict[str, tuple[Any, ...]] = {
    "dropout": (0, 0.0),
    "continuing_subword_prefix": ("",),
    "end_of_word_suffix": ("",),
}
DECODERS = ("ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace")
WHOLE_WORDS = ("llama-bpe", "tekken")  # for these libllama takes a word that is a token as it is
# How text is cut into words before merging: the expression of a file, and libllama's name for it.
PATTERNS = {
    _WORDS + r"\p{N}{1,3}" + _REST: "llama-bpe",
    _WORDS + r"\p{N}" + _REST: "qwen2",
    TEKKEN_PATTERN: "tekken",
}


def read_tokenizer_json(tokenizer: Fields) -> Vocabulary:
    """The vocabulary of a BPE tokenizer.

    Raises:
        ModelError: another kind of tokenizer, or rules that libllama does not have.
    """
    model = tokenizer.table("model")
    for name, accepted in UNCHANGING.items():
        model.refuse(name, *accepted)
    kind = model.text("type", "BPE")
    if kind != "BPE":
        raise ModelError(f"{tokenizer.where}: of the type {kind!r:.40}; converted is BPE")
    if model.flag("byte_fallback", False):
        vocabulary = _sentencepiece(tokenizer, model)
    else:
        tokens, pairs = _tokens(model), _merges(model)
        pre = _pre(tokenizer)
        if model.flag("ignore_merges", False) != (pre in WHOLE_WORDS):
            _expect_made_of_merges(model, tokens, pairs, _added(tokenizer))
        types = [TokenType.NORMAL] * len(tokens)
        merges = [" ".join(pair) for pair in pairs]
        form = tokenizer.table("normalizer").text("type", "")  # checked by _pre
        vocabulary = Vocabulary("gpt2", tokens, types, pre=pre, merges=merges, normalizer=form)
    add_tokens(vocabulary, tokenizer)
    _read_template(vocabulary, tokenizer)
    _check_decoder(tokenizer)
    return vocabulary


def add_tokens(vocabulary: Vocabulary, tokenizer: Fields) -> None:
    """Puts in the tokens that were added after training."""
    for each in tokenizer.get("added_tokens", list, []):
        entry = Fields(each, f"{tokenizer.where}: added_tokens")
        for name in ("lstrip", "rstrip", "single_word"):
            entry.refuse(name, False)
        kind = TokenType.CONTROL if entry.flag("special", False) else TokenType.USER_DEFINED
        text = entry.text("content")
        if vocabulary.model == "llama" and kind is TokenType.USER_DEFINED:
            text = text.replace(SPACE, " ")  # libllama looks for it in the text as it is typed
        vocabulary.put(entry.integer("id", 0, 1 << 24), text, kind, tokenizer.where)


def _tokens(model: Fields) -> list[str]:
    ids = model.get("vocab", dict)
    tokens: list[str | None] = [None] * len(ids)
    for text, token in ids.items():
        if type(token) is not int or not 0 <= token < len(ids) + (1 << 16):
            raise ModelError(f"{model.where}: the token {text!r:.80} has the id {token!r:.40}")
        tokens += [None] * (token + 1 - len(tokens))
        tokens[token] = text
    return [_filler(i) if text is None else text for i, text in enumerate(tokens)]


def _filler(token: int) -> str:
    """The text of a token that the file does not name."""
    return f"[PAD{token}]"


def _added(tokenizer: Fields) -> set[str]:
    """Texts of the tokens that were added after training."""
    entries = tokenizer.get("added_tokens", list, [])
    return {str(each.get("content")) for each in entries if isinstance(each, dict)}


def _merges(model: Fields) -> list[tuple[str, str]]:
    """Pairs in the order in which they are merged; older files write them with a space between."""
    merges = []
    for each in model.get("merges", list):
        pair = each.split(" ") if isinstance(each, str) else each
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_part, pair)):
            raise ModelError(f"{model.where}: the merge {each!r:.80} is not of two parts")
        merges.append((pair[0], pair[1]))
    return merges


def _is_part(part: Any) -> bool:
    return isinstance(part, str) and bool(part) and " " not in part


def _pre(tokenizer: Fields) -> str:
    """libllama's name for the rules by which text is cut into words."""
    normalizer = tokenizer.table("normalizer")
    if normalizer.data and normalizer.text("type", "") != "NFC":
        raise ModelError(f"{normalizer.where}: {_short(normalizer.data)}; libllama has none such")
    pre = tokenizer.table("pre_tokenizer")
    steps = pre.get("pretokenizers", list) if pre.data.get("type") == "Sequence" else [pre.data]
    cutters = [Fields(step, pre.where) for step in steps]
    kinds = [step.text("type", "") for step in cutters]
    plain = not any(step.flag("add_prefix_space", False) for step in cutters)
    if kinds == ["ByteLevel"] and plain and cutters[0].flag("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and plain and cutters[0].flag("individual_digits", False):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and plain and not cutters[1].flag("use_regex", True):
        pattern = cutters[0].table("pattern").text("Regex", "")
        isolated = cutters[0].text("behavior", "") == "Isolated"
        if pattern in PATTERNS and isolated and not cutters[0].flag("invert", False):
            return PATTERNS[pattern]
    raise ModelError(f"{pre.where}: {_short(pre.data)}; libllama has no such rules")


def _sentencepiece(tokenizer: Fields, model: Fields) -> Vocabulary:
    """A SentencePiece model that became pairs: the earlier a pair, the higher its token's score."""
    tokens, unknown = _tokens(model), model.text("unk_token", "<unk>")
    scores = [-1e9] * len(tokens)
    ids = {text: token for token, text in enumerate(tokens)}
    for rank, (left, right) in enumerate(_merges(model)):
        token = ids.get(left + right)
        if token is None:
            raise ModelError(f"{model.where}: the merge {left + right!r:.80} makes no token")
        scores[token] = max(scores[token], -float(rank))
    types = [TokenType.BYTE if text in BYTE_TOKENS else TokenType.NORMAL for text in tokens]
    if unknown in ids:
        types[ids[unknown]] = TokenType.UNKNOWN
    prefix = _add_space_prefix(tokenizer)
    return Vocabulary("llama", tokens, types, scores=scores, add_space_prefix=prefix)


def _add_space_prefix(tokenizer: Fields) -> bool:
    """Whether a space is put before the text; refuses what else would change it."""
    pre, normalizer = tokenizer.table("pre_tokenizer"), tokenizer.table("normalizer")
    nested = normalizer.data.get("type") == "Sequence"
    steps = normalizer.get("normalizers", list) if nested else [normalizer.data]
    prepend = {"type": "Prepend", "prepend": SPACE}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    others = [step for step in steps if step and step not in (prepend, replace)]
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
             "invert": False}  # fmt: skip  # finds no space after the replacement
    if pre.data.get("type") == "Metaspace" and not normalizer.data:
        if pre.data.get("replacement", SPACE) == SPACE and not pre.flag("split", True):
            return pre.text("prepend_scheme", "always") != "never"
        others.append(pre.data)
    elif (pre.data and pre.data != split) or replace not in steps:
        others.append(pre.data)
    if others:
        raise ModelError(f"{tokenizer.where}: rules {_short(others)}; libllama has none such")
    return prepend in steps


def _read_template(vocabulary: Vocabulary, tokenizer: Fields) -> None:
    """Whether the first and the last token are put around every text (TemplateProcessing)."""
    post = tokenizer.table("post_processor")
    steps = post.get("processors", list, []) if post.data.get("type") == "Sequence" else [post.data]
    for step in steps:
        table = Fields(step, post.where)
        if table.data.get("type") != "TemplateProcessing":
            continue
        kinds = [Fields(part, post.where) for part in table.get("single", list)]
        names = [part.table("SpecialToken").data.get("id") for part in kinds]
        if len([name for name in names[1:-1] if name]) or names.count(None) > 1:
            raise ModelError(f"{post.where}: {_short(table.data['single'])}; libllama puts one"
                             " token before a text and one behind it at most")  # fmt: skip
        for role, at in (("bos", 0), ("eos", -1)):
            text: Any = names[at] if names else None
            if text in vocabulary.tokens:
                vocabulary.roles[role] = vocabulary.tokens.index(text)
                setattr(vocabulary, f"add_{role}", True)


def _expect_made_of_merges(
    model: Fields, tokens: list[str], pairs: list[tuple[str, str]], added: set[str]
) -> None:
    """Whether words that are tokens are looked up whole (ignore_merges) goes with libllama's rules
    of cutting; it matters for tokens that merging does not make.

    Raises:
        ModelError: there is such a token.
    """
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    for number, token in enumerate(tokens):
        parts = [] if token in added or token == _filler(number) else list(token)
        while len(parts) > 1:
            made = [ranks.get(pair, len(ranks)) for pair in pairwise(parts)]
            best = min(made)
            if best == len(ranks):
                break
            at = made.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) > 1:
            raise ModelError(
                f"{model.where}: ignore_merges is {model.data.get('ignore_merges', False)}, which"
                f" libllama has not for this cutter, and the token {token!r:.80} differs by it"
            )


def _check_decoder(tokenizer: Fields) -> None:
    """Refuses rules of joining pieces that libllama has not."""
    decoder = tokenizer.table("decoder")
    steps = (
        decoder.get("decoders", list) if decoder.data.get("type") == "Sequence" else [decoder.data]
    )
    for step in steps:
        kind = Fields(step, decoder.where).text("type", "ByteLevel")
        if kind not in DECODERS:
            raise ModelError(f"{decoder.where}: {_short(step)}; libllama has none such")


def _short(data: Any) -> str:
    return json.dumps(data, ensure_ascii=True)[:160]
