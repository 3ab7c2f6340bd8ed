# SPDX-License-Identifier: Apache-2.0
"""Speech from festival, run once per batch of texts: start-up costs more than a sentence."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import soundfile
from speech import PAUSE, Utterance, align_words, to_model_rate
from voices_flite import phone_number

SCHEME = """\
(define (speak_to text out stretch)
  (Parameter.set 'Duration_Stretch stretch)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt out 'riff)
    (mapcar (lambda (w) (format t "word %s %f\\n" (item.name w) (item.feat w "word_end")))
            (utt.relation.items utt 'Word))
    (mapcar (lambda (s) (format t "phone %s %f\\n" (item.name s) (item.feat s "end")))
            (utt.relation.items utt 'Segment))
    (format t "done %s 0\\n" out)))
"""


def speak_batch(voice: str, texts: list[str], stretches: list[float]) -> list[Utterance]:
    """Speaks `texts` (a-z , . ? ' only) with an installed festival voice.

    Those whose words cannot be aligned are left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "speak.scm"
        lines = [SCHEME, f"(voice_{voice})\n"]
        for i, (text, stretch) in enumerate(zip(texts, stretches, strict=True)):
            lines.append(f'(speak_to "{text}" "{folder}/{i}.wav" {stretch:.2f})\n')
        script.write_text("".join(lines), encoding="utf-8")
        log = subprocess.run(
            ["festival", "-b", str(script)], capture_output=True, text=True, errors="replace"
        ).stdout
        return _read(voice, texts, log)


def _read(voice: str, texts: list[str], log: str) -> list[Utterance]:
    words: list[tuple[str, float]] = []
    phones: list[tuple[int, float]] = []
    spoken = []
    for line in log.splitlines():
        kind, _, rest = line.partition(" ")
        name, _, number = rest.rpartition(" ")
        if kind == "word":
            words.append((name, float(number)))
        elif kind == "phone":
            phones.append((phone_number(name), float(number)))
        elif kind == "done":
            utterance = _utterance(voice, texts[int(Path(name).stem)], Path(name), words, phones)
            spoken += [utterance] if utterance else []
            words, phones = [], []
    return spoken


def _utterance(
    voice: str,
    text: str,
    path: Path,
    words: list[tuple[str, float]],
    phones: list[tuple[int, float]],
) -> Utterance | None:
    ends = align_words(text, words)
    if ends is None:
        return None
    samples, rate_hz = soundfile.read(path, dtype="int16")
    numbers, phone_ends = [p for p, _ in phones], [e for _, e in phones]
    samples = to_model_rate(samples, rate_hz)
    return Utterance(text, f"festival:{voice}", samples, ends, numbers or [PAUSE], phone_ends)
