# SPDX-License-Identifier: Apache-2.0
"""Learns the subword vocabulary from the training text.

    python tokenizer.py TEXT.tsv OUT.json [--tokens 1000]

Words carry a leading space mark; , . and ? are tokens of their own and are never merged.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shape import PAD, UNKNOWN, Shape
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<pad>", "<unk>"]
SPACE = "\u2581"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokens", type=int, default=Shape().n_text)
    args = parser.parse_args()
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"),
            pre_tokenizers.Split(Regex(r"[,.?]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    texts = [line.partition("\t")[2] for line in args.text.read_text().splitlines()]
    trainer = trainers.BpeTrainer(
        vocab_size=args.tokens, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.token_to_id(SPECIAL[PAD]) != PAD:
        raise RuntimeError(f"{SPECIAL[PAD]} must be token {PAD}")
    tokenizer.save(str(args.out))


if __name__ == "__main__":
    main()
