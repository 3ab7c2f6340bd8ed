# SPDX-License-Identifier: Apache-2.0
"""A model hub on loopback: the paths, headers and redirects of the real one, and its bad days."""

import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

LARGE_BYTES = 10_000  # from here on a file is in large-file storage, behind a redirect


def git_blob(data):
    """The name that git gives to a file's contents."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Repository:
    """The files of one commit; what the hub says of them may be changed by a test."""

    def __init__(self, files):
        self.files = dict(files)
        self.commit = hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()
        self.siblings = [self._sibling(name, data) for name, data in self.files.items()]

    def _sibling(self, name, data):
        entry = {"rfilename": name, "size": len(data), "blobId": git_blob(data)}
        if len(data) >= LARGE_BYTES:
            sha256 = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 134}
        return entry


class Hub(http.server.ThreadingHTTPServer):
    """`with Hub() as hub`: hub.repositories by name; hub.url is what HF_ENDPOINT names.

    Of the requests it keeps paths with the first byte asked for (`requests`) and `tokens`.

    The bad days, None or False unless a test says otherwise:
        status: every request is answered with it
        api_error: (status, X-Error-Code) of the listing
        cut: an answer with a file's bytes ends after so many, and the connection with it
        hold: it stops after so many and waits until `released` is set; `held` is set meanwhile
        large_at: the address of another server, to which large files are redirected
        damage: the last byte of a large answer is another one
        ranges: whether requests for a part are understood (True)
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.requests, self.sent_bytes = {}, [], 0
        self.tokens, self.large_at = [], None
        self.status = self.api_error = self.cut = self.hold = None
        self.ranges, self.damage = True, False
        self.held, self.released = threading.Event(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # a client that was killed is what some tests are about

    def ranges_of(self, name):
        """First bytes asked for of a file, request by request."""
        return [start for path, start in self.requests if path.endswith(name)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.server.requests.append((path, int(asked[1]) if asked else 0))
        self.server.tokens.append(self.headers.get("Authorization"))
        if self.server.status:
            return self._error(self.server.status)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self._listing(*found.groups())
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([0-9a-f]{40})/(.+)", path):
            return self._resolve(*found.groups())
        if found := re.fullmatch(r"/large/([0-9a-f]{64})", path):
            return self._bytes(self._large(found[1]), asked)
        return self._error(404)

    def _error(self, status, code=None):
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _listing(self, name, revision):
        if self.server.api_error:
            return self._error(*self.server.api_error)
        repository = self.server.repositories.get(name)
        if repository is None:
            return self._error(401, "RepoNotFound")  # the real one tells strangers no more
        if revision not in (None, "main", repository.commit):
            return self._error(404, "RevisionNotFound")
        body = {"_id": "1", "id": name, "modelId": name, "private": False, "tags": []}
        body |= {"sha": repository.commit, "siblings": repository.siblings}
        return self._answer(json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name, commit, path):
        repository = self.server.repositories.get(name)
        if repository is None or commit != repository.commit or path not in repository.files:
            return self._error(404, "EntryNotFound")
        data = repository.files[path]
        sha256 = hashlib.sha256(data).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git_blob(data)}"'}
        if len(data) < LARGE_BYTES:
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            return self._bytes(data, asked, headers)
        self.send_response(302)
        headers |= {"X-Linked-Size": str(len(data)), "X-Linked-ETag": f'"{sha256}"'}
        headers["Location"] = f"{self.server.large_at or self.server.url}/large/{sha256}"
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _large(self, sha256):
        for repository in self.server.repositories.values():
            for data in repository.files.values():
                if hashlib.sha256(data).hexdigest() == sha256:
                    return data
        raise KeyError(sha256)

    def _bytes(self, data, asked, headers=None):
        headers = {"Accept-Ranges": "bytes", **(headers or {})}
        if not asked or not self.server.ranges:
            return self._answer(data, headers)
        start, end = int(asked[1]), int(asked[2] or len(data) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        return self._answer(data[start : end + 1], headers, status=206)

    def _answer(self, body, headers, status=200):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        server, large = self.server, len(body) >= LARGE_BYTES
        limits = [n for n in (server.cut, server.hold) if n is not None and large]
        stop = min(limits, default=len(body))
        if server.damage and large:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.wfile.write(body[:stop])
        server.sent_bytes += len(body[:stop])
        if stop < len(body) and server.hold is not None:
            self.wfile.flush()
            server.held.set()
            server.released.wait(60)
        elif stop < len(body):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
        else:
            return
        self.close_connection = True
