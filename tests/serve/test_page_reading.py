# SPDX-License-Identifier: Apache-2.0
"""The page's readers, in a real Chromium: the history, searching it, the overlay, a camera."""

import numpy as np
from page_visits import LOG, lines, read


def test_lines_of_the_server_come_once_over_lost_connections(watched, server):
    page = read(watched, server, 30)
    page.wait_for_function("document.querySelector('#level').getAttribute('aria-valuenow') > -60")
    assert page.locator(LOG).all_text_contents() == [f"line {k}" for k in range(1, 31)]
    assert server.script.asked_from[:2] == [None, "a1-30"]
    assert page.locator("#dock").is_hidden()
    assert page.get_attribute("#log", "role") == "log"


def test_a_server_that_began_anew_begins_a_new_take(watched, server):
    page = read(watched, server, 5)
    server.script.live, server.script.live_run = lines(7, "anew {}"), "b2"
    page.wait_for_selector("#log .take")
    shown = page.locator("#log > *").evaluate_all("all => all.map((e) => e.lastChild.textContent)")
    assert shown[-8:] == ["hall", *(f"anew {k}" for k in range(1, 8))]
    assert len(shown) == 5 + 8


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


def test_a_take_has_one_title_however_much_of_it_is_there(watched, server):
    page = read(watched, server, 5)
    server.script.live, server.script.live_run = lines(2500, "anew {}"), "b2"
    page.wait_for_function("document.querySelector('#log').lastChild.textContent.includes('2500')")
    while page.locator("#earlier").is_visible():
        page.click("#earlier")
    titled = page.locator("#log .take + .line .words").all_text_contents()
    assert titled == ["line 1", "anew 1"]


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


def test_words_of_others_are_text_and_nothing_more(watched, server):
    words = "<img src=x onerror=alert(1)> {}"
    page = read(watched, server, 1, words=words)
    assert page.locator(LOG).all_text_contents() == [words.format(1)]
    assert page.locator("#log img").count() == 0


def test_a_heading_goes_with_the_last_of_its_lines(watched):
    headings = watched.open().evaluate("""async () => {
      const { History } = await import('/history.js');
      const { page } = await import('/page.js');
      const { Transcript } = await import('/transcript.js');
      const transcript = new Transcript();
      new History(page, transcript, { get: () => 'none' });
      const [old, young] = ['old', 'young'].map((name) => transcript.begin(name));
      for (let k = 0; k <= 1500; k++) { // at the last one the oldest 501 lines go
        const event = { type: 'final', text: 'line', start_ms: k, end_ms: k + 1 };
        transcript.add(k <= 500 ? old : young, event);
      }
      return [...page.log.querySelectorAll('.take')].map((title) => title.textContent);
    }""")
    assert headings == ["young"]


def test_an_overlay_keeps_no_lines(watched):
    told = watched.open().evaluate("""async () => {
      const { Transcript } = await import('/transcript.js');
      const transcript = new Transcript({ keep: false });
      const told = [];
      transcript.onRecord(({ event }) => told.push(event.text));
      transcript.add(transcript.begin('hall'), { type: 'final', text: 'line' });
      return [told, transcript.records];
    }""")
    assert told == [["line"], []]


def test_a_picture_that_cannot_be_shown_lets_the_one_before_go(watched):
    let_go = watched.open().evaluate("""async () => {
      const { Camera } = await import('/camera.js');
      const { page } = await import('/page.js');
      const before = URL.createObjectURL(new Blob(['a picture']));
      page.camera.querySelector('img').src = before;
      const revoked = [];
      URL.revokeObjectURL = (url) => revoked.push(url);
      window.fetch = async () => new Response('no picture');
      const camera = new Camera(page, 'door');
      const decode = page.camera.querySelector('img').decode;
      await new Promise((tried) => {
        camera.image.decode = () => {
          const decoded = decode.call(camera.image);
          decoded.catch(() => setTimeout(tried));
          return decoded;
        };
        camera.start();
      });
      camera.stop();
      return revoked.map((url) => url === before);
    }""")
    assert let_go == [True]
