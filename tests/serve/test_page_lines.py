# SPDX-License-Identifier: Apache-2.0
"""What the page makes of the lines that a server sends, word for word, in a real Chromium."""

import pytest
from chromium import Watched, chromium
from client import behind


@pytest.fixture(scope="module")
def page(server):
    with chromium() as browser:
        watched = Watched(browser, server.address)
        yield watched.open()
        assert watched.faults == []


# Each session is a list of messages; "lost" ends a connection.
TOLD = """async (sessions) => {
  const { CaptionStream } = await import('/caption_stream.js');
  const { KeptSound } = await import('/kept_sound.js');
  const real = window.WebSocket;
  window.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    bufferedAmount = 0;
    constructor() { setTimeout(() => { this.onopen(); this.#play(sessions.shift()); }); }
    send() {}
    close() {}
    #play(messages) {
      for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) });
      if (sessions.length) this.onclose();
    }
  };
  const events = [];
  await new Promise((done) => {
    const on = {
      event: (event) => events.push(event),
      heard() {},
      state: (name) => name === 'done' && done(),
    };
    const hello = { rate_hz: 16000, live: true };
    new CaptionStream({ hello, kept: new KeptSound(1e6), on }).start();
  });
  window.WebSocket = real;
  return events.filter(({ text }) => text).map(({ type, text }) => [type, text]);
}"""


def word(text, start_ms, end_ms):
    return {"text": text, "start_ms": start_ms, "end_ms": end_ms}


def line(*words, kind="final", between=" "):
    text = between.join(word["text"] for word in words)
    return {"type": kind, "text": text, "n_final": 0, "words": words,
            "start_ms": words[0]["start_ms"], "end_ms": words[-1]["end_ms"]}  # fmt: skip


def session(*events, name="1"):
    """What a server sends in one session."""
    numbered = [{"seq": seq, **event} for seq, event in enumerate(events, 1)]
    return [{"type": "ready", "session": name}, *numbered]


DONE = {"type": "done"}


def test_a_word_of_no_length_where_the_line_before_ended_is_kept(page):
    first = line(word("one", 0, 400), word("two", 400, 800))
    second = [word("and", 800, 800), word("three", 800, 1200)]
    sent = session(first, line(*second, kind="draft"), line(*second), DONE)
    assert page.evaluate(TOLD, [sent]) == [
        ["final", "one two"],
        ["draft", "and three"],
        ["final", "and three"],
    ]


@pytest.mark.parametrize(
    ("between", "words", "rest"),
    [("", "今今日は晴れ", "今日は晴れ"), (" ", ["one,", "two", "one,", "two"], "two one, two")],
)
def test_the_rest_of_a_line_keeps_its_own_spaces(page, between, words, rest):
    timed = [word(text, 100 * i, 100 * i + 100) for i, text in enumerate(words)]
    told, again = line(timed[0]), line(*timed, between=between)
    assert behind(again, told["end_ms"])["text"] == rest
    lost = {"type": "error", "code": "unknown-session", "message": "begin anew"}
    sent = [[*session(told), lost], session(again, DONE, name="2")]
    assert page.evaluate(TOLD, sent) == [["final", words[0]], ["final", rest]]


def test_a_line_that_was_told_is_not_told_again():
    assert behind(line(word("one", 0, 400), word("two", 400, 800)), 800) is None
