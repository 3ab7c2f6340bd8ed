# SPDX-License-Identifier: Apache-2.0
"""Parts of the page by themselves, in a real Chromium: subtitles, event streams, kept sound."""

import random

import pytest
from chromium import Watched, chromium
from scripted_server import BLOCK, RATE_HZ, Script
from subtitle_parsers import parse_srt, parse_vtt

from edgestream.data import DATA

PERSON_TEXT = (DATA / "person.txt").read_text("utf-8").strip()


@pytest.fixture(scope="module")
def page(server):
    with chromium() as browser:
        watched = Watched(browser, server.address)
        yield watched.open()
        assert watched.faults == []


@pytest.fixture
def run(page, server):
    """Runs a function of JavaScript, which imports what it needs, with one argument."""
    server.script = Script()
    server.sessions.clear()
    return page.evaluate


def final(text, start_ms, end_ms, words=()):
    return {"type": "final", "text": text, "words": list(words), "start_ms": start_ms,
            "end_ms": end_ms}  # fmt: skip


SUBTITLES = """async (finals) => {
  const { srt, vtt } = await import('/cues.js');
  return [srt(finals), vtt(finals)];
}"""


@pytest.mark.parametrize(
    ("start_ms", "shown"),
    [
        (999.5, "00:00:01,000"),
        (59_999.99, "00:01:00,000"),
        (3_599_999.9, "01:00:00,000"),
        (2300, "00:00:02,300"),
        (0, "00:00:00,000"),
        (360_000_000, "100:00:00,000"),
    ],
)
def test_times_of_subtitles_are_whole_milliseconds(run, start_ms, shown):
    srt, vtt = run(SUBTITLES, [final("word", start_ms, start_ms + 500)])
    assert srt.startswith(f"1\n{shown} --> ")
    assert shown.replace(",", ".") + " --> " in vtt


@pytest.mark.parametrize("text", ["<b>bold</b>", "AT&T", "A --> B", "{\\an8}up", "a &lt; b"])
def test_marks_of_subtitles_are_escaped(run, text):
    srt, vtt = run(SUBTITLES, [final(text, 0, 1000)])
    assert parse_vtt(vtt) == [(0, 1000, [text])]
    [(_, _, [line])] = parse_srt(srt)
    assert not set("<>{}") & set(line)
    assert len(line) in (len(text), len(text) - 2)


def test_subtitles_hold_all_words_in_order_and_never_overlap(run):
    words = PERSON_TEXT.split()
    timed = [
        {"text": word, "start_ms": 400 * i, "end_ms": 400 * i + 300, "emitted_ms": 0}
        for i, word in enumerate(words)
    ]
    finals = [final(PERSON_TEXT, 0, 400 * len(words), timed), final("x" * 100, 9000, 9100)]
    for cues in map(lambda read, text: read(text), (parse_srt, parse_vtt), run(SUBTITLES, finals)):
        said = [line for _, _, lines in cues for line in lines]
        assert " ".join(said).replace(" ", "") == (PERSON_TEXT + "x" * 100).replace(" ", "")
        assert all(len(line) <= 42 for line in said)
        assert all(1 <= len(lines) <= 2 for _, _, lines in cues)
        times = [ms for start, end, _ in cues for ms in (start, end)]
        assert times == sorted(times)
        assert all(start < end <= start + 7000 for start, end, _ in cues)


def test_a_subtitle_of_a_language_without_spaces_has_none(run):
    words = [
        {"text": w, "start_ms": i * 100, "end_ms": i * 100 + 100}
        for i, w in enumerate("今日は晴れ")
    ]
    _, vtt = run(SUBTITLES, [final("今日は晴れ", 0, 500, words)])
    assert parse_vtt(vtt)[0][2] == ["今日は晴れ"]


def test_an_event_stream_cut_anywhere_is_the_same(run):
    text = (
        ": hello\n\nid: 1\nevent: final\ndata: {\"a\":\ndata: 1}\n\n"
        "id: 2\r\nevent: status\r\ndata: x\r\n\r\ndata:y\r\rid: 3\n\nevent: empty\n\ndata: z\n\n"
    )  # fmt: skip
    whole = [
        {"id": "1", "event": "final", "data": '{"a":\n1}'},
        {"id": "2", "event": "status", "data": "x"},
        {"id": "2", "event": "message", "data": "y"},
        {"id": "3", "event": "message", "data": "z"},
    ]
    cut = """async ([text, cuts]) => {
      const { EventStreamParser } = await import('/event_stream.js');
      return cuts.map((places) => {
        const found = [];
        const parser = new EventStreamParser((event) => found.push(event));
        places.forEach((place, i) => parser.push(text.slice(i ? places[i - 1] : 0, place)));
        return found;
      });
    }"""
    chance = random.Random(1)
    cuts = [sorted([*chance.sample(range(len(text)), k), len(text)]) for k in range(40)]
    cuts.append(list(range(1, len(text) + 1)))
    assert run(cut, [text, cuts]) == [whole] * len(cuts)


def test_a_draft_is_parted_by_characters(run):
    parts = "async (event) => (await import('/draft.js')).parts(event)"
    assert run(parts, {"text": "🙂 a 🙂 so", "n_final": 5}) == ["🙂 a 🙂", " so"]
    assert run(parts, {"text": "so"}) == ["", "so"]
    assert run(parts, None) == ["", ""]


def test_settings_that_make_no_sense_are_left_out(run):
    got = run("""async () => {
      const { Settings } = await import('/settings.js');
      const settings = new Settings({ keep: false });
      settings.take([['size', '9999'], ['edge', 'thick'], ['colour', 'yellow'], ['x', '1']]);
      settings.set('lines', 'many');
      return ['size', 'edge', 'colour', 'lines', 'x'].map((name) => settings.get(name) ?? null);
    }""")
    assert got == [300, "none", "yellow", 2, None]


STREAM = """async ({ values, pieces, rate, keptBytes, live }) => {
  const { CaptionStream } = await import('/caption_stream.js');
  const { KeptSound } = await import('/kept_sound.js');
  const bytes = new Uint8Array(Int16Array.from(values).buffer);
  const kept = new KeptSound(keptBytes);
  const [events, states] = [[], []];
  await new Promise((done) => {
    const on = {
      event: (event) => event.type === 'draft' || events.push(event),
      heard() {},
      state(name, words) {
        states.push(words && name === 'full' ? `${name}: ${words}` : name);
        if (['done', 'refused', 'unauthorized'].includes(name)) done();
      },
    };
    const stream = new CaptionStream({ hello: { rate_hz: rate, live }, kept, on });
    stream.start();
    let at = 0;
    const timer = setInterval(() => {
      const size = 2 * (pieces[at % pieces.length]);
      if (at < bytes.length) kept.push(bytes.slice(at, at + size));
      else { clearInterval(timer); stream.end(); }
      at += size;
      stream.pump();
    }, 10);
  });
  return { events, states };
}"""


def numbers(n):
    return [k for k in range(1, n + 1) for _ in range(BLOCK)]


def said(events):
    return [(event["text"], event["start_ms"], event["end_ms"]) for event in events]


def whole(n):
    block_ms = BLOCK * 1000 / RATE_HZ
    return [(str(k), (k - 1) * block_ms, k * block_ms) for k in range(1, n + 1)]


@pytest.mark.parametrize("seed", range(4))
def test_lost_connections_and_restarted_servers_lose_and_repeat_nothing(run, server, seed):
    chance, n = random.Random(seed), 40
    at = sorted(chance.sample(range(2 * BLOCK, 2 * BLOCK * n), 4))
    server.script.drops = [(byte, chance.random() < 0.5) for byte in at]
    pieces = [chance.randint(1, 70) for _ in range(50)]
    asked = {"values": numbers(n), "pieces": pieces, "rate": RATE_HZ, "live": True}
    got = run(STREAM, {**asked, "keptBytes": 120_000})
    assert said(got["events"]) == whole(n)
    assert [w["start_ms"] for e in got["events"] for w in e["words"]] == [s for _, s, _ in whole(n)]
    assert server.script.drops == []
    assert got["states"][-1] == "done"
    assert "reconnecting" in got["states"]


def test_a_server_that_ends_is_sent_nothing_twice(run, server):
    server.script.drops = [(2 * 5 * BLOCK, "ends")]
    values = [*numbers(2), *[0] * 4 * BLOCK, *[3] * BLOCK]
    asked = {"values": values, "pieces": [BLOCK], "rate": RATE_HZ, "live": True}
    got = run(STREAM, {**asked, "keptBytes": 1e6})
    assert [event["text"] for event in got["events"]] == ["1", "2", "3"]
    assert got["events"][-1]["end_ms"] == len(values) * 1000 / RATE_HZ
    assert server.script.n_heard == 2 * len(values)


def test_a_file_goes_out_as_fast_as_it_is_taken(run, server):
    server.script.drops = [(50_000, False), (130_000, True)]
    n = 800
    asked = {"values": numbers(n), "pieces": [BLOCK * n], "rate": RATE_HZ, "live": False}
    got = run(STREAM, {**asked, "keptBytes": 1e9})
    assert said(got["events"]) == whole(n)
    assert server.script.drops == []


def test_what_is_too_old_to_be_sent_again_is_told(run, server):
    server.script.refuse = [("full", "8 sessions are open; try again later")]
    kept_samples = 15 * BLOCK
    asked = {"values": numbers(30), "pieces": [BLOCK], "rate": RATE_HZ, "live": True}
    got = run(STREAM, {**asked, "keptBytes": 2 * kept_samples})
    assert "full: 8 sessions are open; try again later" in got["states"]
    gap, *finals = got["events"]
    assert (gap["type"], gap["start_ms"]) == ("gap", 0)
    n_lost = round(gap["end_ms"] / (BLOCK * 1000 / RATE_HZ))
    assert n_lost > 0
    assert said(finals) == whole(30)[n_lost:]


def test_a_hello_that_is_wrong_is_not_tried_again(run, server):
    server.script.refuse = [("unknown-model", "no such model")]
    asked = {"values": numbers(2), "pieces": [50], "rate": RATE_HZ, "live": True}
    got = run(STREAM, {**asked, "keptBytes": 1e6})
    assert got == {"events": [], "states": ["connecting", "refused"]}
    assert server.script.n_connections == 1
