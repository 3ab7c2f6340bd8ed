# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium: what it shows, its keys, its modes, and what it says of refusals."""

import json

import numpy as np
import pytest
import soundfile
from chromium import Watched, chromium, hearing
from scripted_server import BLOCK, Script, ScriptedServer
from subtitle_parsers import parse_srt, parse_vtt

LOG = "#log .words"
ELSEWHERE = "phone.test"  # an address that is not this computer's, for the browser


@pytest.fixture(scope="module")
def server():
    server = ScriptedServer()
    server.address = server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    wav = tmp_path_factory.mktemp("sound") / "silence.wav"
    soundfile.write(wav, np.zeros(16_000, np.int16), 16_000)
    flags = [*hearing(wav), f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
    with chromium(*flags) as browser:
        yield browser


@pytest.fixture
def watched(browser, server):
    """Opens pages; afterwards none of them had a fault."""
    server.script = Script()
    server.sessions.clear()
    watched = Watched(browser, server.address)
    yield watched
    for context in browser.contexts:
        context.close()
    assert watched.faults == []


def lines(n, words="line {}"):
    """What /v1/live sends: n finals, one a second."""
    return [
        (k, "final", {"text": words.format(k), "words": [], "start_ms": 1000 * k,
                      "end_ms": 1000 * k + 900})
        for k in range(1, n + 1)
    ]  # fmt: skip


def read(watched, server, n=3, path="/?read", words="line {}", **options):
    """A reader of the server's own source, once all lines were there."""
    server.script.live = lines(n, words)
    page = watched.open(path, **options)
    page.wait_for_function(
        "(text) => [...document.querySelectorAll('#log .words, .rolled')]"
        ".some((line) => line.textContent === text)",
        arg=words.format(n),
    )
    return page


def numbers_wav(path, n):
    """A recording that says 1, 2 ... n to the scripted server, at the rate of files."""
    soundfile.write(path, np.repeat(np.arange(1, n + 1, dtype=np.int16), BLOCK), 16_000)
    return path


def caption_file(page, path):
    page.set_input_files("#file", path)
    page.wait_for_selector("#state[data-state=done]")


def test_a_recording_is_captioned_with_times_and_saved(watched, tmp_path):
    page = watched.open()
    caption_file(page, numbers_wav(tmp_path / "count.wav", 25))
    assert page.locator(LOG).all_text_contents() == [str(k) for k in range(1, 26)]
    assert page.inner_text("#start") == "Start"
    saved = {}
    for form in ("txt", "times.txt", "srt", "vtt", "jsonl"):
        page.click("#open-save")
        with page.expect_download() as download:
            page.click(f"[data-format='{form}']")
        assert download.value.suggested_filename.endswith("." + form.split(".")[-1])
        saved[form] = download.value.path().read_text("utf-8")
    assert saved["txt"] == "".join(f"{k}\n" for k in range(1, 26))
    assert saved["times.txt"].startswith("0:00  1\n")
    events = [json.loads(line) for line in saved["jsonl"].splitlines()]
    assert [e["text"] for e in events] == [str(k) for k in range(1, 26)]
    for cues in (parse_srt(saved["srt"]), parse_vtt(saved["vtt"])):
        assert " ".join(" ".join(each) for _, _, each in cues).split() == [
            str(k) for k in range(1, 26)
        ]


def test_takes_are_saved_one_by_one_or_all_in_a_row(watched, tmp_path):
    page = watched.open()
    caption_file(page, numbers_wav(tmp_path / "one.wav", 3))
    caption_file(page, numbers_wav(tmp_path / "two.wav", 2))
    assert page.locator("#log .take").all_text_contents() == ["two.wav"]
    page.click("#open-save")
    page.select_option("#take", label="2. two.wav")
    with page.expect_download() as download:
        page.click("[data-format=txt]")
    assert download.value.suggested_filename == "two.txt"
    assert download.value.path().read_text("utf-8") == "1\n2\n"
    page.click("#open-save")
    with page.expect_download() as download:
        page.click("[data-format=jsonl]")
    starts = [json.loads(e)["start_ms"] for e in download.value.path().read_text().splitlines()]
    assert starts == sorted(starts)
    assert len(set(starts)) == 5


def test_a_file_that_is_no_sound_is_refused_in_words(watched, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound")
    page = watched.open()
    page.set_input_files("#file", tmp_path / "notes.txt")
    page.wait_for_selector("#banner:not([hidden])")
    assert "cannot read “notes.txt” as sound" in page.inner_text("#banner")
    assert page.inner_text("#state") == "stopped"


def test_a_microphone_goes_out_at_its_own_rate_and_stops_with_done(watched, server):
    page = watched.open(permissions=["microphone"])
    page.click("#start")
    page.wait_for_selector("#state[data-state=connected]")
    page.wait_for_function("document.querySelector('#lag').textContent !== ''")
    assert page.get_attribute("#level", "aria-valuenow") == "-60"
    page.click("#start")
    page.wait_for_selector("#state[data-state=done]")
    [session] = server.sessions.values()
    assert session.n_bytes > 0


def test_lines_of_the_server_come_once_over_lost_connections(watched, server):
    page = read(watched, server, 30)
    page.wait_for_function("document.querySelector('#level').getAttribute('aria-valuenow') > -60")
    assert page.locator(LOG).all_text_contents() == [f"line {k}" for k in range(1, 31)]
    assert server.script.asked_from[:2] == [None, "30"]
    assert page.locator("#dock").is_hidden()
    assert page.get_attribute("#log", "role") == "log"


def test_a_server_that_began_anew_begins_a_new_take(watched, server):
    page = read(watched, server, 5)
    server.script.live = lines(2, "anew {}")  # numbers that are lower than the last one
    page.wait_for_selector("#log .take")
    shown = page.locator("#log > *").evaluate_all("all => all.map((e) => e.lastChild.textContent)")
    assert shown[-3:] == ["hall", "anew 1", "anew 2"]
    assert len(shown) == 8


def test_a_source_that_is_over_is_no_lost_connection(watched, server):
    server.script.live_is_over = True
    page = read(watched, server, 2)
    page.wait_for_selector("#state[data-state=over]")
    assert page.locator(LOG).count() == 2


def test_only_a_stretch_of_a_long_history_is_in_the_page(watched, server):
    page = read(watched, server, 4000)
    n_there = page.locator(LOG).count()
    assert n_there <= 1500
    page.click("#earlier")
    assert page.locator(LOG).count() > n_there
    assert page.locator("#newest").is_visible()
    while page.locator("#earlier").is_visible():
        page.click("#earlier")
    assert page.locator(LOG).first.text_content() == "line 1"
    assert page.locator(LOG).count() <= 3000
    page.click("#newest")
    assert page.locator(LOG).last.text_content() == "line 4000"
    assert page.locator("#newest").is_hidden()


def test_search_finds_lines_that_are_not_in_the_page(watched, server):
    page = read(watched, server, 3000)
    page.keyboard.press("/")
    page.keyboard.type("LINE 7")
    assert page.inner_text("#found") == "111 of 111"
    page.keyboard.press("Shift+Enter")
    assert page.inner_text("#found") == "1 of 111"
    assert page.inner_text(".current .words") == "line 7"
    assert page.locator(".current").is_visible()
    page.fill("#query", "line 7(")
    assert page.inner_text("#found") == "not found"
    page.keyboard.press("Escape")
    assert page.locator("#search").is_hidden()
    assert page.locator(LOG).last.is_visible()


def test_reading_back_is_not_disturbed_by_new_lines(watched, server):
    server.script.live = lines(60)
    page = watched.open("/?read")
    page.wait_for_function("document.querySelectorAll('#log .words').length === 60")
    page.hover("#history")
    page.mouse.wheel(0, -900)
    page.wait_for_selector("#newest:not([hidden])")
    before = page.evaluate("document.querySelector('#history').scrollTop")
    server.script.live = lines(70)
    page.wait_for_function("document.querySelectorAll('#log .words').length === 70")
    assert page.evaluate("document.querySelector('#history').scrollTop") == before
    page.keyboard.press("n")
    assert page.locator("#newest").is_hidden()
    assert page.evaluate("document.querySelector('#history').scrollTop") > before


def test_drafts_do_not_move_what_is_above(watched, server):
    server.script.live = lines(40)
    page = watched.open("/?read")
    page.wait_for_function("document.querySelectorAll('#log .words').length === 40")
    top = "document.querySelector('#log').lastChild.getBoundingClientRect().top"
    before = page.evaluate(top)
    for words in ("a", "many words " * 30, ""):
        page.evaluate(
            "async (text) => { const { page } = await import('/page.js');"
            " (await import('/draft.js')).showDraft(page, { text, n_final: 3 }); }",
            words,
        )
        assert page.evaluate(top) == before
    assert page.locator("#log #draft, [aria-live] #draft").count() == 0


def test_keys_work_and_rest_while_somebody_types(watched, server):
    page = watched.open()
    for key, panel in ((",", "#settings"), ("e", "#save"), ("?", "#help")):
        page.keyboard.press(key)
        assert page.locator(panel).is_visible()
        page.keyboard.press("s")  # not while a panel is open
        page.keyboard.press("Escape")
        assert page.locator(panel).is_hidden()
    size = "getComputedStyle(document.documentElement).getPropertyValue('--caption-size')"
    page.keyboard.press("+")
    assert page.evaluate(size) == "1.1"
    page.keyboard.press("/")
    page.keyboard.type("s+e,")
    assert page.input_value("#query") == "s+e,"
    assert page.evaluate(size) == "1.1"
    page.keyboard.press("Escape")
    page.keyboard.press(",")
    page.select_option("#set-keys", "off")
    page.keyboard.press("Escape")
    page.locator("body").press("+")
    assert page.evaluate(size) == "1.1"
    assert server.script.n_connections == 0


def test_the_keyboard_reaches_all_in_order_and_shows_where_it_is(watched):
    page = watched.open()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]"
        )
        if here[0] in [each for each, _ in reached]:
            break
        reached.append(here)
    names = [name for name, _ in reached if name]
    tools = ["open-search", "open-save", "open-settings", "open-help"]
    assert [name for name in names if name in tools] == tools
    assert names.index("history") < names.index("source") < names.index("start")
    assert all(style == "solid" for name, style in reached if name)


def test_settings_are_kept_shown_and_handed_to_obs(watched):
    page = watched.open()
    page.click("#open-settings")
    page.select_option("#set-colour", "yellow")
    page.select_option("#set-theme", "dark")
    page.fill("#set-size", "150")
    page.select_option("#set-announce", "off")
    shown = page.evaluate("getComputedStyle(document.querySelector('#preview p')).color")
    assert shown in ("rgb(255, 255, 0)", "color(srgb 1 1 0)")
    address = page.input_value("#overlay-address")
    assert address == f"{watched.address}/?overlay&size=150&colour=yellow"
    page.reload()
    page.wait_for_selector("html[data-theme=dark]", state="attached")
    assert page.input_value("#set-size") == "150"
    assert page.get_attribute("#log", "aria-live") == "off"
    page.click("#open-settings")
    page.click("#reset")
    assert page.input_value("#set-size") == "100"
    assert page.get_attribute("#log", "aria-live") == "polite"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_stand_out(watched, theme, server):
    page = read(watched, server, color_scheme=theme)
    page.evaluate(
        "async () => { const { page } = await import('/page.js');"
        " (await import('/draft.js')).showDraft(page, { text: 'sure soft', n_final: 5 }); }"
    )
    ratios = page.evaluate("""() => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
      const brush = canvas.getContext('2d', { willReadFrequently: true });
      const light = (colour, under) => {
        for (const each of [under, colour]) { brush.fillStyle = each; brush.fillRect(0, 0, 1, 1); }
        const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = brush.getImageData(0, 0, 1, 1).data;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
      };
      const under = getComputedStyle(document.body).backgroundColor;
      const ratio = (selector) => {
        const pair = [light(getComputedStyle(document.querySelector(selector)).color, under),
          light(under, under)].sort((a, b) => b - a);
        return (pair[0] + 0.05) / (pair[1] + 0.05);
      };
      return ['#log .words', '#log time', '#sure', '#open', '#state', '#lag'].map(ratio);
    }""")
    assert min(ratios) >= 4.5


@pytest.mark.parametrize(("width", "size"), [(320, 100), (320, 200), (360, 300), (640, 100)])
def test_nothing_hangs_over_the_side_of_a_small_screen(watched, tmp_path, width, size):
    page = watched.open(f"/?size={size}", viewport={"width": width, "height": 640})
    caption_file(page, numbers_wav(tmp_path / f"{'a' * 70}.wav", 3))
    too_wide = "document.documentElement.scrollWidth > innerWidth"
    assert not page.evaluate(too_wide)
    assert page.locator("#start").is_visible()
    for key in (",", "e", "?"):
        page.keyboard.press(key)
        assert not page.evaluate(
            "(() => { const d = document.querySelector('dialog[open]');"
            " return d.scrollWidth > d.clientWidth || d.clientWidth > innerWidth; })()"
        )
        page.keyboard.press("Escape")


@pytest.mark.parametrize(("width", "height", "size"), [(740, 360, 200), (640, 320, 100)])
def test_lines_can_be_read_on_a_low_screen(watched, tmp_path, width, height, size):
    page = watched.open(f"/?size={size}", viewport={"width": width, "height": height})
    caption_file(page, numbers_wav(tmp_path / "count.wav", 8))
    box, line = (page.locator(name).last.bounding_box() for name in ("#history", LOG))
    assert box["y"] <= line["y"]
    assert line["y"] + line["height"] <= box["y"] + box["height"] + 1
    assert page.locator("#start").is_visible()


def test_wider_spacing_of_text_cuts_nothing_off(watched, server):
    page = read(watched, server, 30, viewport={"width": 360, "height": 640})
    page.evaluate("""() => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync('* { line-height: 1.5 !important; letter-spacing: .12em !important;'
        + 'word-spacing: .16em !important } p { margin-bottom: 2em !important }');
      document.adoptedStyleSheets.push(sheet);
    }""")
    cut = page.evaluate("""() => [...document.querySelectorAll('#top p, #log .words, button')]
      .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && e.clientWidth)
      .filter((e) => !e.querySelector('svg')).map((e) => e.id || e.textContent)""")
    assert cut == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_an_overlay_is_two_lines_and_nothing_else(watched, server):
    page = read(watched, server, 5, path="/?overlay&size=80",
                viewport={"width": 640, "height": 360})  # fmt: skip
    box = page.locator("#rolling").bounding_box()
    inside = [
        line for line in page.locator(".rolled").all()
        if line.text_content() and line.bounding_box()["y"] >= box["y"] - 1
    ]  # fmt: skip
    assert [line.text_content() for line in inside] == ["line 4", "line 5"]
    for name in ("#top", "#dock", "#banner", "#welcome"):
        assert page.locator(name).is_hidden()
    picture = page.screenshot(omit_background=True)
    import cv2

    alpha = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)[..., 3]
    assert alpha[: int(box["y"]) - 2].max() == 0
    assert alpha.max() == 255


def test_an_overlay_can_hear_this_microphone(watched, server):
    page = watched.open("/?overlay&source=mic", permissions=["microphone"])
    page.wait_for_selector("#state[data-state=connected]", state="attached")
    page.wait_for_function("document.querySelector('#lag').textContent !== ''")
    [session] = server.sessions.values()
    assert session.n_bytes > 0


def test_no_microphone_away_from_this_computer_is_said(watched, server):
    server.script.live = lines(2)
    watched.address = f"http://{ELSEWHERE}:{server.port}"
    page = watched.open()
    assert "only to pages from https://" in page.inner_text("#insecure")
    page.wait_for_selector("#source option[value=live]", state="attached")
    assert page.input_value("#source") == "live"
    for name in ("microphone", "screen", "both"):
        assert page.locator(f"#source option[value={name}]").is_disabled()
    page.click("#start")
    page.wait_for_function("document.querySelectorAll('#log .words').length === 2")


@pytest.mark.parametrize(
    ("source", "script", "said"),
    [
        ("microphone", "getUserMedia = refuse('NotAllowedError')", "allow the microphone"),
        ("microphone", "getUserMedia = refuse('NotFoundError')", "No microphone was found"),
        ("screen", "getDisplayMedia = silentPictures", "tick “Also share tab audio”"),
        ("both", "getDisplayMedia = refuse('NotAllowedError')", "Nothing was shared"),
        ("screen", "getDisplayMedia = refuse('NotSupportedError')", "Use Chrome or Edge"),
    ],
)
def test_what_a_browser_refuses_is_said_with_the_way_out(watched, source, script, said):
    page = watched.open()
    page.evaluate(f"""() => {{
      const refuse = (name) => async () => {{ throw new DOMException('', name); }};
      const silentPictures = async () => document.createElement('canvas').captureStream();
      navigator.mediaDevices.{script};
    }}""")
    page.select_option("#source", source)
    page.click("#start")
    page.wait_for_selector("#banner:not([hidden])")
    assert said in page.inner_text("#banner")
    assert page.inner_text("#start") == "Start"
    page.click("#banner button")
    assert page.locator("#banner").is_hidden()


def test_the_sound_of_a_tab_is_heard_until_it_ends(watched, server):
    page = watched.open(permissions=["microphone"])
    page.evaluate("""() => {
      navigator.mediaDevices.getDisplayMedia = async () => {
        const context = new AudioContext();
        const stream = context.createMediaStreamDestination();
        const tone = context.createOscillator();
        tone.connect(stream);
        tone.start();
        window.track = stream.stream.getAudioTracks()[0];
        return stream.stream;
      };
    }""")
    page.select_option("#source", "both")
    page.click("#start")
    loud = "document.querySelector('#level').getAttribute('aria-valuenow') > -10"
    page.wait_for_function(loud)  # the microphone is silent: both are mixed
    page.evaluate("track.dispatchEvent(new Event('ended'))")
    page.wait_for_selector("#state[data-state=done]")
    assert "has ended or was unplugged" in page.inner_text("#banner")
    [session] = server.sessions.values()
    assert session.n_bytes > 0


def test_the_picture_of_a_camera_is_beside_its_comments(watched, server):
    import cv2

    server.script.picture = cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes()
    page = read(
        watched, server, words="A person enters {}", viewport={"width": 1200, "height": 700}
    )
    page.wait_for_selector("#camera img[src^='blob:']")
    assert page.evaluate("document.querySelector('#camera img').naturalWidth") == 160
    picture, lines = (page.locator(name).bounding_box() for name in ("#camera", "#stage"))
    assert picture["x"] + picture["width"] <= lines["x"] + 1
    assert page.locator("#draft").is_hidden()  # comments have none
    page.set_viewport_size({"width": 360, "height": 740})
    picture, lines = (page.locator(name).bounding_box() for name in ("#camera", "#stage"))
    assert picture["y"] + picture["height"] <= lines["y"] + 1


def test_a_server_that_is_full_says_so(watched, server):
    server.script.refuse = [("full", "8 sessions are open; try again later")]
    page = watched.open(permissions=["microphone"])
    page.click("#start")
    page.wait_for_selector("#state[data-state=full]")
    assert page.inner_text("#banner p") == "8 sessions are open; try again later"
    page.wait_for_selector("#state[data-state=connected]")
    assert page.locator("#banner").is_hidden()


def test_a_token_is_taken_from_the_address_or_asked_for(watched, server, tmp_path):
    server.script.token = "open sesame"
    page = watched.open("/#token=open%20sesame")
    caption_file(page, numbers_wav(tmp_path / "count.wav", 2))
    assert page.url == watched.address + "/"
    other = watched.open()  # the console tells of the 401
    other.wait_for_selector("#ask-token[open]")
    other.fill("#token", "open sesame")
    other.keyboard.press("Enter")
    other.wait_for_function("document.querySelectorAll('#set-model option').length === 2")
    caption_file(other, tmp_path / "count.wav")
    assert other.locator(LOG).count() == 2
    assert [fault for fault in watched.faults if "401" not in fault] == []
    watched.faults.clear()


def test_words_of_others_are_text_and_nothing_more(watched, server):
    words = "<img src=x onerror=alert(1)> {}"
    page = read(watched, server, 1, words=words)
    assert page.locator(LOG).all_text_contents() == [words.format(1)]
    assert page.locator("#log img").count() == 0
