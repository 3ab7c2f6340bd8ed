# SPDX-License-Identifier: Apache-2.0
"""The measures of people: words, what was shown and taken back, recordings, conditions, tools."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgestream.bench import report
from edgestream.bench.listen import measure as bench_listen
from edgestream.bench.listen import people, people_report
from edgestream.bench.listen.conditions import (
    CONDITIONS,
    QUIET_DBFS,
    RT60_S,
    changed,
    room_response,
)
from edgestream.bench.listen.probe import Latency, hear
from edgestream.bench.listen.reader import Reader, ShownWord
from edgestream.errors import SourceError
from edgestream.events import Draft, Final, Word
from edgestream.library.manifest.manifest import DEFAULT_MODEL, SYNTHETIC_MODEL
from edgestream.scoring.clips import BUNDLED, PEOPLE, RATE_HZ, SpokenWord, read_clips
from edgestream.scoring.words import spoken_parts, spoken_words

ROOT = Path(__file__).resolve().parents[2]
TINY = bench_listen.Plan(
    startups=1, stream_minutes=0.3, sound_minutes=0.05, joined_minutes=0.3, clips=3
)


@pytest.fixture(scope="module")
def clips():
    return read_clips(BUNDLED)


def run(*args):
    command = [sys.executable, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd="/")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1450", "fourteen fifty"),
        ("1,450 men", "one thousand four hundred and fifty men"),
        ("42", "forty-two"),
        ("The 15th and the 3rd", "the fifteenth and the third"),
        ("the 1970s, the 20th", "The nineteen seventies, the twentieth"),
        ("In 1805", "in eighteen oh five"),
        ("2005 and 2024", "two thousand five and twenty twenty-four"),
        ("2.5 %", "two point five percent"),
        ("105", "one hundred and five"),
        ("Mr. X\u2019s colour & grey", "mister x's color and gray"),
        ("3000000000000", "three zero zero zero zero zero zero zero zero zero zero zero zero"),
    ],
)
def test_ways_to_write_the_same_words_count_as_the_same(written, said):
    assert spoken_words(written) == spoken_words(said)


def test_what_is_said_differently_is_not_the_same():
    assert spoken_words("one hundred and a half") == ["one", "hundred", "and", "a", "half"]
    assert spoken_words("1450") != spoken_words("1,450")
    assert spoken_words("sands and land") == ["sands", "and", "land"]


def test_words_know_the_text_that_they_came_from():
    assert spoken_parts(["In", "1465,", "--", "well-known"]) == [
        ("in", 0), ("fourteen", 1), ("sixty", 1), ("five", 1), ("well", 3), ("known", 3),
    ]  # fmt: skip


def test_a_word_is_first_shown_where_it_stays_and_committed_when_it_cannot_change():
    reader = Reader()
    reader.push([Draft("Good", 0, 0)], 80)
    reader.push([Draft("Good morn", 0, 0)], 160)
    reader.push([], 240)
    reader.push([Draft("Good morning", 0, 0)], 320)
    words = (Word("Good", 0, 70, 320), Word("morning.", 70, 300, 400))
    reader.push([Final("Good morning.", words, 0, 0), Draft("Thank", 0, 0)], 400)
    reader.push([Final("Thank you.", (), 0, 0)], 480)
    assert reader.words == [
        ShownWord("good", 80, 320),
        ShownWord("morning", 320, 400),
        ShownWord("thank", 400, 480),
        ShownWord("you", 480, 480),
    ]
    assert (reader.erased, reader.rewritten) == (0, 0)  # "morn" only got more letters
    assert reader.line_words == [2, 2]


def test_what_comes_after_the_end_of_the_source_came_at_its_end():
    reader = Reader()
    reader.push([Final("Yes.", (Word("Yes.", 0, 70, 2000),), 0, 0)], 480)
    assert reader.words == [ShownWord("yes", 480, 480)]


def test_a_word_that_went_and_came_back_was_first_shown_when_it_was_first_shown():
    reader = Reader()
    reader.push([Draft("it was the worst", 0, 0)], 100)
    reader.push([Draft("it was", 0, 0)], 200)
    reader.push([Final("It was the worst.", (), 0, 0)], 300)
    assert [word.shown_ms for word in reader.words] == [100, 100, 100, 100]
    assert (reader.erased, reader.rewritten) == (2, 2)


def test_words_that_others_are_put_before_are_not_erased_but_rewritten():
    reader = Reader()
    reader.push([Draft("was the best of times", 0, 0)], 100)
    reader.push([Draft("it was the best of times", 0, 0)], 200)
    assert (reader.erased, reader.rewritten) == (0, 5)
    reader.push([Draft("", 0, 0)], 300)  # withdrawn altogether
    assert (reader.erased, reader.rewritten) == (6, 11)


def test_what_was_taken_back_with_a_line_was_no_showing_of_the_next():
    reader = Reader()
    reader.push([Draft("one two. one two of the", 0, 0)], 100)  # stutters
    reader.push([Final("One two.", (), 0, 0), Draft("of", 0, 0)], 200)
    reader.push([Draft("of the best", 0, 0)], 300)
    reader.push([Final("Of the best.", (), 0, 0)], 400)
    assert [word.shown_ms for word in reader.words] == [100, 100, 100, 300, 300]


def test_a_word_that_becomes_another_is_taken_back():
    reader = Reader()
    reader.push([Draft("they came", 0, 0)], 100)
    reader.push([Draft("then came", 0, 0)], 200)
    assert (reader.erased, reader.rewritten) == (1, 2)
    reader.push([Final("Then came home.", (), 0, 0)], 300)
    reader.push([Draft("a the", 0, 0)], 400)
    reader.push([Draft("b then", 0, 0)], 500)  # it grew, but beside another change
    assert (reader.erased, reader.rewritten) == (3, 4)


def test_a_draft_that_ends_as_two_lines_was_shown_for_both():
    reader = Reader()
    reader.push([Draft("one two three four", 0, 0)], 100)
    reader.push([Final("One two.", (), 0, 0), Draft("three four", 0, 0)], 200)
    reader.push([Final("Three four.", (), 0, 0)], 300)
    assert [word.shown_ms for word in reader.words] == [100, 100, 100, 100]
    assert [word.committed_ms for word in reader.words] == [200, 200, 300, 300]
    assert reader.erased == 0


class Recited:
    """A stream that says what it was given, at the block it was given for."""

    rate_hz = RATE_HZ
    stages = None

    def __init__(self, events):
        self._events, self._n = events, 0

    def reset(self):
        self._n = 0

    def push(self, samples):
        self._n += 1
        return self._events.get(self._n, [])

    def finish(self):
        return self._events.get(None, [])


def test_latency_is_of_right_words_with_known_ends():
    words = (Word("Out", 0, 0, 1280), Word("off", 0, 0, 1280), Word("milk", 0, 0, 1960))
    stream = Recited({30: [Draft("out off", 0, 0)], None: [Final("Out off milk.", words, 0, 0)]})
    said = [SpokenWord("out", None), SpokenWord("of", 900.0), SpokenWord("milk", 1500.0)]
    probe, heard = hear(stream, [(np.zeros(2 * RATE_HZ, np.float32), said)])
    latency = Latency()
    latency.add(heard, probe)
    assert latency.ends_ms == [1500]
    assert latency.shown_after_ms == [460]
    assert latency.committed_after_ms == [460]
    assert latency.committed_done_after_ms[0] > 460
    tally = people.Tally()
    tally.add("ann", probe, heard)
    found = tally.figures()
    assert (found["words"], found["words_too_many"], found["lines"]) == (3, 0, 1)
    assert found["wer"] == pytest.approx(1 / 3)
    assert found["short_lines"] == 1
    assert found["heard_s"] == 2


def test_the_clips_of_one_reader_are_joined_over_and_over():
    clips = people.busiest_reader(read_clips(PEOPLE))
    assert {clip.voice for clip in clips} == {"lj"}
    once = sum(len(clip.samples) for clip in clips) / RATE_HZ
    pieces = list(people.joined_clips(clips, once / 30))
    assert len(clips) < len(pieces) <= 2 * len(clips)
    at_ms = 0.0
    for (piece, words), clip in zip(pieces, [*clips, *clips], strict=False):
        assert [word.text for word in words] == spoken_words(clip.text)
        ends_ms = [word.end_ms for word in words if word.end_ms is not None]
        assert at_ms < ends_ms[0] < ends_ms[-1] < at_ms + 1000 * len(clip.samples) / RATE_HZ
        at_ms += 1000 * len(piece) / RATE_HZ


def test_people_have_words_and_most_words_have_ends():
    clips = read_clips(PEOPLE)
    ends = [end for clip in clips for end in clip.word_ends_ms]
    assert len(ends) == sum(len(spoken_words(clip.text)) for clip in clips)
    assert sum(end is None for end in ends) < 0.05 * len(ends)
    for clip in clips:
        known = [end for end in clip.word_ends_ms if end is not None]
        assert known == sorted(known)
        assert known[-1] <= 1000 * len(clip.samples) / RATE_HZ


def test_a_folder_with_a_table_has_clips_without_ends(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros((22050, 2)), 22050)
    table = 'a.flac\tann (reads)\tCC0\t"She said ""no"", twice."\n'
    (tmp_path / "index.tsv").write_text(table)
    (clip,) = read_clips(tmp_path)
    assert (clip.voice, clip.text, clip.word_ends_ms) == ("ann", 'She said "no", twice.', ())
    assert len(clip.samples) == pytest.approx(RATE_HZ, abs=2)
    (tmp_path / "index.tsv").write_text("a.flac\tann\tno words\n")
    with pytest.raises(SourceError, match=r"index\.tsv, line 1: 3 cells"):
        read_clips(tmp_path)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_changes_the_sound_and_not_the_words(condition, clips):
    before = clips[:2]
    for clip, after in zip(before, changed(before, condition), strict=True):
        assert (after.text, after.word_ends_ms) == (clip.text, clip.word_ends_ms)
        assert after.samples.dtype == np.float32
        assert len(after.samples) == pytest.approx(len(clip.samples), abs=2)
        assert np.abs(after.samples).max() <= 1
        assert np.isfinite(after.samples).all()
        n = min(len(after.samples), len(clip.samples))
        assert np.abs(after.samples[:n] - clip.samples[:n]).max() > 0.01


def test_conditions_are_as_strong_as_they_say(clips):
    clip = clips[0]
    noise = changed([clip], "noise at 5 dB")[0].samples - clip.samples
    ratio_db = 10 * np.log10(np.mean(clip.samples**2) / np.mean(noise**2))
    assert ratio_db == pytest.approx(5, abs=0.2)
    quiet = changed([clip], "quiet, -40 dBFS")[0].samples
    assert 10 * np.log10(np.mean(quiet.astype(float) ** 2)) == pytest.approx(QUIET_DBFS, abs=0.1)
    loud = changed([clip], "clipped by 18 dB")[0].samples
    assert np.mean(np.abs(loud) == 1) > 0.01
    phone = np.abs(np.fft.rfft(changed([clip], "telephone")[0].samples)) ** 2
    hz = np.fft.rfftfreq(2 * len(phone) - 2, 1 / RATE_HZ)
    assert phone[hz > 4200].sum() < 1e-3 * phone.sum()
    response = room_response(0)[int(0.002 * RATE_HZ) :]
    half = len(response) // 2
    fell_db = 10 * np.log10(np.mean(response[:half] ** 2) / np.mean(response[half:] ** 2))
    assert fell_db == pytest.approx(60 * half / RATE_HZ / RT60_S, abs=3)


@pytest.fixture(scope="module")
def people_figures():
    """The measures of people, on a model that needs no other file, and hears them badly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_listen, "SYNTHETIC_MODEL", "another")
        return bench_listen.measure("synthetic-en", None, [], TINY)


def test_measures_of_people_are_all_there(people_figures, tmp_path, capsys):
    found = people_figures
    single, joined = found["single"], found["joined"]
    assert single["words"] > 20
    assert single["wer"] > 0
    assert 0 < single["cpu_s_per_s"] < 1
    assert joined["heard_s"] >= 60 * TINY.joined_minutes
    assert found["joined_wer_over_single"] == pytest.approx(
        joined["wer"] / found["joined_single_wer"]
    )
    assert found["second_cpu_p95_first_fifth_ms"] > 0
    assert 0 < found["step_cpu_p50_ms"] < found["second_cpu_p50_ms"]  # this family has steps
    assert 0 < found["silence_cpu_s_per_s"] < 1
    assert [row["condition"] for row in found["conditions"]] == list(CONDITIONS)
    people_report.print_table(found)
    shown = capsys.readouterr().out
    for label in ("word error rate", "first shown", "words taken back", "wind", "telephone"):
        assert label in shown
    report.write_json(found, tmp_path / "figures.json")
    json.loads((tmp_path / "figures.json").read_text(), parse_constant=pytest.fail)
    pytest.importorskip("matplotlib")
    people_report.draw(found, tmp_path / "figures.png")
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(DEFAULT_MODEL == SYNTHETIC_MODEL, reason="no model that hears people ships")
def test_the_default_model_is_measured_on_people(tmp_path):
    file = tmp_path / "figures.json"
    done = run("-m", "edgestream", "bench", "listen", "--quick", "--json", file)
    assert (done.returncode, "first shown" in done.stdout) == (0, True), done.stderr
    found = json.loads(file.read_text())
    assert (found["model"], found["speech"]) == (DEFAULT_MODEL, "people")
    assert found["single"]["wer"] < 0.25
    assert found["joined"]["wer"] < 0.25


def score(*args):
    return run(ROOT / "tools" / "bench" / "score_speech.py", *args)


def test_any_folder_with_a_table_is_scored(tmp_path, clips):
    rows = []
    for i, clip in enumerate(clips[:2]):
        soundfile.write(tmp_path / f"{i}.wav", clip.samples, RATE_HZ)
        rows.append(f"{i}.wav\tv{i} (synthetic)\tfree\t{clip.text}\n")
    (tmp_path / "index.tsv").write_text("".join(rows))
    done = score(tmp_path, "delay_ms=400", "-m", "synthetic-en", "--json", tmp_path / "x.json")
    assert (done.returncode, "word error rate, v1" in done.stdout) == (0, True), done.stderr
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["options"] == {"delay_ms": 400}
    assert found["single"]["words"] == sum(len(spoken_words(c.text)) for c in clips[:2])
    assert found["single"]["committed_p50_ms"] is None  # nobody knows when the words ended
    assert set(found["single"]["wer_by_voice"]) == {"v0", "v1"}


def test_what_cannot_be_scored_is_one_line(tmp_path):
    done = score(tmp_path, "-m", "synthetic-en")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "index.tsv" in done.stderr
