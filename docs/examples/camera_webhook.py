# SPDX-License-Identifier: Apache-2.0
"""Posts what a camera sees to a webhook, as JSON.

    pip install 'edgestream[watch]'
    python camera_webhook.py http://home.local/hook              # the first camera
    python camera_webhook.py http://home.local/hook door.mp4     # or rtsp://...

Only people who come and go are posted here; change `is_wanted` to what you want. A webhook that is
slow or away holds up nothing: at most 100 comments wait for it, then the oldest goes.
"""

import asyncio
import contextlib
import http.client
import json
import sys
import urllib.request
from collections import deque

import edgestream as es

TIMEOUT_S, TRIES, MAX_WAITING = 5, 3, 100


def is_wanted(comment):
    what = comment.happening
    return what is not None and what.label == "person" and what.kind in ("enters", "leaves")


def post(url, comment):
    """Waits for the answer; one that is no success is an OSError, rubbish an HTTPException."""
    body = {"text": comment.text, "time_ms": comment.start_ms, "time": comment.time}
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass


async def deliver(url, waiting, arrived, done):
    """Posts one after the other until it is `done` and nothing waits."""
    while waiting or not done.is_set():
        await arrived.wait()
        arrived.clear()
        while waiting:
            comment = waiting.popleft()
            for turn in range(TRIES):
                try:
                    await asyncio.to_thread(post, url, comment)
                    break
                except (OSError, http.client.HTTPException) as error:
                    print(f"{url}: {error}", file=sys.stderr)
                    await asyncio.sleep(2**turn if turn < TRIES - 1 else 0)


async def main(url, source=None, wanted=is_wanted, **options):
    urllib.request.Request(url)  # a ValueError, if that is no address
    waiting, arrived, done = deque(maxlen=MAX_WAITING), asyncio.Event(), asyncio.Event()
    delivery = asyncio.create_task(deliver(url, waiting, arrived, done))
    async for event in es.watch(source, **options):
        if isinstance(event, es.Comment) and wanted(event):
            waiting.append(event)
            arrived.set()
    done.set()
    arrived.set()
    await delivery


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(main(*sys.argv[1:3]))
        except (es.EdgestreamError, ValueError) as error:
            sys.exit(f"camera_webhook: {error}")
