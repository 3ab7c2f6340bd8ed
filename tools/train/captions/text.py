# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: SIM905 - long word lists read better as text
"""The training text: sentences from Debian packages, a grammar of everyday talk, word soups.

    python text.py OUT.tsv [--sentences 90000] [--seed 1] [--plain]

Needs wordnet-base, fortunes, bible-kjv, scowl, wamerican-large. Writes lines "source<TAB>text".
Sentences for choosing and testing (everyday_*.txt, wider_*.txt) are left out.
"""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from everyday import everyday_sentence, read_grammar
from normalise import is_usable, normalise

SENTENCE_END = re.compile(r"(?<=[.?!])[\"')]*\s+(?=[\"'(]*[A-Z])")
WORD_LIST = Path("/usr/share/dict/words")
SCOWL = Path("/usr/share/dict/scowl")
MIN_WORDS, MAX_WORDS = 3, 24
HELD_OUT = ["everyday_dev.txt", "everyday_test.txt", "wider_dev.txt", "wider_test.txt"]

SHARES = {  # of sentences
    "everyday": 0.20, "soup": 0.30, "wordnet examples": 0.25, "fortunes": 0.11, "definitions": 0.06,
    "bible": 0.04, "manual pages": 0.04,
}  # fmt: skip

# Word soups: each word's list is drawn first, so that rare words are spoken far more often than
# they are written. SCOWL's levels go from the commonest words (10) to rare ones (50).
SOUP_LISTS = {"everyday": 0.34, "10": 0.22, "20": 0.16, "35": 0.20, "40": 0.04, "50": 0.04}
SOUP_WORDS = (3, 9)
SOUP_LINK_SHARE = 0.22
SOUP_LINKS = "the a of and to in it is on my your for with was that i we you at or not".split(" ")


def split_sentences(text: str) -> list[str]:
    """Running text to sentences."""
    return SENTENCE_END.split(re.sub(r"\s+", " ", text))


def wordnet() -> tuple[list[str], list[str]]:
    """(usage examples, definitions) from WordNet's data files."""
    examples, definitions = [], []
    for path in sorted(Path("/usr/share/wordnet").glob("data.*")):
        for line in path.read_text(encoding="utf-8", errors="ignore").splitlines():
            gloss = line.partition("|")[2]
            examples += re.findall(r'"([^"]+)"', gloss)
            definitions.append(re.sub(r'"[^"]*"', "", gloss).strip(" ;\n").split(";")[0])
    return examples, definitions


def fortunes() -> list[str]:
    """Quotations of the fortune program, without their authors."""
    found = []
    for path in sorted(Path("/usr/share/games/fortunes").iterdir()):
        if path.suffix not in (".dat", ".u8"):
            for quote in path.read_text(encoding="utf-8", errors="ignore").split("\n%\n"):
                found += split_sentences(re.sub(r"\n\s*--.*", "", quote, flags=re.S))
    return found


def bible() -> list[str]:
    """The King James Bible, from the `bible` program."""
    command = ["bible", "-f", "-l", "99999", "gen1:1-rev22:21"]
    verses = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [re.sub(r"^\S+ |[{}]", "", line) for line in verses.splitlines()]
    return [sentence for line in lines for sentence in split_sentences(line)]


def manual_pages() -> list[str]:
    """Prose of the manual pages that are installed."""
    found = []
    for path in sorted(Path("/usr/share/man").glob("man[1578]/*.gz")):
        try:
            page = gzip.decompress(path.read_bytes()).decode(errors="ignore")
        except OSError:  # a dangling alternative
            continue
        page = re.sub(r"\\-", "-", re.sub(r"\\f.", "", page))
        prose = [line for line in page.splitlines() if not line.startswith(".")]
        found += split_sentences(" ".join(prose))
    return found


def soup_lists(everyday_words: list[str]) -> dict[str, list[str]]:
    """Words by list name, a-z only and short enough."""
    lists = {"everyday": everyday_words}
    for level in SOUP_LISTS:
        if level != "everyday":
            path = SCOWL / f"english-words.{level}"
            lines = path.read_text(encoding="latin-1").splitlines()
            lists[level] = [w for w in lines if re.fullmatch(r"[a-z]{2,13}", w)]
    return lists


def soup(lists: dict[str, list[str]], rng: Random) -> str:
    """Unrelated words: what cannot be guessed from the text must be heard."""
    words: list[str] = []
    for _ in range(rng.randint(*SOUP_WORDS)):
        if rng.random() < SOUP_LINK_SHARE:
            words.append(rng.choice(SOUP_LINKS))
        name = rng.choices(list(SOUP_LISTS), list(SOUP_LISTS.values()))[0]
        words.append(rng.choice(lists[name]))
    return " ".join(words) + rng.choice(["."] * 8 + ["?"])


def collected(found: list[str], known: set[str], rng: Random) -> Iterator[str]:
    """The usable ones of collected sentences, normalised, in random order, again and again."""
    usable = {s for s in map(normalise, found) if is_usable(s, known, MIN_WORDS, MAX_WORDS)}
    pool = sorted(usable)
    while True:
        rng.shuffle(pool)
        yield from pool


def generated(make: Callable[[], str]) -> Iterator[str]:
    """Sentences from a generator, for ever."""
    while True:
        yield make()


def sources(rng: Random) -> dict[str, Iterator[str]]:
    """An endless stream of sentences for each source."""
    known = {w.strip().lower() for w in WORD_LIST.read_text(encoding="utf-8").splitlines()}
    rules = read_grammar()
    everyday_words = {w for _ in range(20000) for w in everyday_sentence(rules, rng).split()}
    plain = sorted({w.strip(",.?") for w in everyday_words})
    lists = soup_lists([w for w in plain if len(w) > 1])
    examples, definitions = wordnet()
    return {
        "everyday": generated(lambda: everyday_sentence(rules, rng)),
        "soup": generated(lambda: soup(lists, rng)),
        "wordnet examples": collected(examples, known, rng),
        "fortunes": collected(fortunes(), known, rng),
        "definitions": collected(definitions, known, rng),
        "bible": collected(bible(), known, rng),
        "manual pages": collected(manual_pages(), known, rng),
    }


def held_out() -> set[str]:
    """Sentences that must never be trained on."""
    folder = Path(__file__).parent
    return {line for name in HELD_OUT for line in (folder / name).read_text().splitlines()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sentences", type=int, default=90000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="no soups: for the end of a training")
    args = parser.parse_args()
    rng = Random(args.seed)
    streams = sources(rng)
    kept_out = held_out()
    shares = {name: share for name, share in SHARES.items() if not (args.plain and name == "soup")}
    with args.out.open("w", encoding="utf-8") as out:
        for _ in range(args.sentences):
            source = rng.choices(list(shares), list(shares.values()))[0]
            text = next(s for s in streams[source] if s not in kept_out)
            out.write(f"{source}\t{text}\n")


if __name__ == "__main__":
    main()
