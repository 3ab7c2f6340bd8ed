# SPDX-License-Identifier: Apache-2.0
"""A Chromium that is installed, with a microphone that plays a file, and pages that are watched."""

from __future__ import annotations

import contextlib
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
SOLITARY = [  # nothing of its own goes over the network
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium(*flags: str):
    """A browser of playwright; skips the test where none is installed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = [path for path in map(shutil.which, NAMES) if path]
    if not found:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=[*SOLITARY, *flags])
        yield browser
        browser.close()


def hearing(wav) -> list[str]:
    """Flags for a microphone that plays a WAV file once, and needs no permission."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={wav}%noloop",
    ]


class Watched:
    """Opens pages; `faults` are errors of the console, of scripts, of the content policy, and
    requests to other hosts."""

    def __init__(self, browser, address: str) -> None:
        self.browser, self.address, self.faults = browser, address, []
        self.may_fail = False  # requests fail while a server is away

    def open(self, path: str = "/", **options):
        """The page once it shows itself; options are those of a browser context."""
        page = self.browser.new_context(**options).new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._request)
        page.goto(self.address + path)
        page.wait_for_selector("html[data-mode]", state="attached")
        return page

    def _console(self, message) -> None:
        away = self.may_fail and "net::ERR_" in message.text
        if message.type in ("error", "warning") and not away:
            self.faults.append(message.text)

    def _request(self, request) -> None:
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.faults.append(f"asked another host: {request.url}")
