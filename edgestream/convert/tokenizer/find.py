# SPDX-License-Identifier: Apache-2.0
"""Finds a checkpoint's tokenizer in the form that says most, and the chat template."""

from __future__ import annotations

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.tokenizer.json import add_tokens, read_tokenizer_json
from edgestream.convert.tokenizer.sentencepiece import read_sentencepiece
from edgestream.convert.tokenizer.tekken import read_tekken
from edgestream.convert.tokenizer.vocabulary import Vocabulary, read_roles
from edgestream.library.json_file import Fields, read_json

TOKENIZER_JSON, SENTENCEPIECE, TEKKEN = "tokenizer.json", "tokenizer.model", "tekken.json"
TOKENIZER_CONFIG, CHAT_TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
CHAT_TEMPLATE_JSON = "chat_template.json"  # where models that see have it
TOKENIZER_FILES = (
    TOKENIZER_JSON, SENTENCEPIECE, TEKKEN, TOKENIZER_CONFIG, CHAT_TEMPLATE, CHAT_TEMPLATE_JSON
)  # fmt: skip
MAX_TEMPLATE_BYTES = 1 << 20


def read_vocabulary(checkpoint: Checkpoint, n_vocab: int) -> Vocabulary | None:
    """The vocabulary, as long as the embeddings; None if the checkpoint has no tokenizer.

    SentencePiece's own file has true scores, so it goes before tokenizer.json, which then only
    says what was added.
    """
    fields = {
        name: Fields(read_json(checkpoint.file(name)), str(checkpoint.folder / name))
        for name in (TOKENIZER_JSON, TEKKEN, TOKENIZER_CONFIG)
        if checkpoint.has(name)
    }
    settings = fields.get(TOKENIZER_CONFIG, Fields({}, TOKENIZER_CONFIG))
    if checkpoint.has(SENTENCEPIECE):
        vocabulary = read_sentencepiece(checkpoint.file(SENTENCEPIECE))
        vocabulary.add_bos = settings.flag("add_bos_token", vocabulary.add_bos)
        vocabulary.add_eos = settings.flag("add_eos_token", vocabulary.add_eos)
        if TOKENIZER_JSON in fields:
            add_tokens(vocabulary, fields[TOKENIZER_JSON])
    elif TOKENIZER_JSON in fields:
        vocabulary = read_tokenizer_json(fields[TOKENIZER_JSON])
    elif TEKKEN in fields:
        vocabulary = read_tekken(fields[TEKKEN])
    else:
        return None
    given = dict(vocabulary.roles)
    read_roles(vocabulary, [settings], checkpoint.config)
    vocabulary.roles |= given
    vocabulary.chat_template = _chat_template(checkpoint, settings)
    vocabulary.check(n_vocab, f"{checkpoint.folder}: tokenizer")
    return vocabulary


def _chat_template(checkpoint: Checkpoint, settings: Fields) -> str | None:
    """A Jinja text; it is kept, not run."""
    if checkpoint.has(CHAT_TEMPLATE):
        with checkpoint.file(CHAT_TEMPLATE).open("rb") as file:
            return file.read(MAX_TEMPLATE_BYTES).decode("utf-8", "replace")
    template = settings.data.get("chat_template")
    if template is None and checkpoint.has(CHAT_TEMPLATE_JSON):
        template = read_json(checkpoint.file(CHAT_TEMPLATE_JSON)).get("chat_template")
    return template if isinstance(template, str) else None
