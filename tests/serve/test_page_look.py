# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium: its keys, its settings, its letters, and small screens."""

import pytest
from page_visits import LOG, caption_file, numbers_wav, read


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
