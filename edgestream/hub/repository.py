# SPDX-License-Identifier: Apache-2.0
"""A repository on a model hub: what it holds, and its files in pieces that survive interruptions.

huggingface_hub knows the hub: its address (HF_ENDPOINT), tokens, redirects, errors, HF_HUB_OFFLINE.
Its own download begins anew after a kill, so bytes are put down here.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub import errors as hub_errors
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from edgestream.errors import EdgestreamError, HubError, ModelError
from edgestream.library import folders
from edgestream.library.folders import COMMIT
from edgestream.library.manifest.manifest import SHA256

FRUITLESS_TRIES = 3  # in a row, without a byte: then the hub is out of reach
PAUSE_S = 1.0
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its warnings are told here


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit; its listing is what the hub says, not yet trusted."""

    name: str
    revision: str  # commit
    sizes: dict[str, int]  # bytes of each file by its path
    sha256: dict[str, str]  # of the large files
    git_blobs: dict[str, str]  # of the others, where the hub names them (see `git_blob_of`)


def offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids the network."""
    return constants.is_offline_mode()


def look(name: str, revision: str | None) -> Repository:
    """Asks the hub what a repository holds; the default branch if `revision` is None."""
    with _told_in_one_line(name):
        found = HfApi().model_info(
            name, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
        files = found.siblings or []
        sizes = {file.rfilename: file.size for file in files if type(file.size) is int}
        large = {file.rfilename: file.lfs.sha256 for file in files if file.lfs}
        small = {f.rfilename: f.blob_id for f in files if f.blob_id and not f.lfs}
    if not COMMIT.fullmatch(str(found.sha)) or min(sizes.values(), default=0) < 0:
        raise HubError(f"{constants.ENDPOINT}: does not answer about {name} as a hub does")
    checked = [(SHA256, sha256) for sha256 in large.values()]
    checked += [(COMMIT, blob) for blob in small.values()]
    if not all(form.fullmatch(str(checksum)) for form, checksum in checked):
        raise HubError(f"{constants.ENDPOINT}: gives a checksum of {name} that is not valid")
    return Repository(name, str(found.sha), sizes, large, small)


def read_start(repository: Repository, path: str, n_bytes: int) -> bytes:
    """The first `n_bytes` of a file, or all of it if it is shorter."""
    n_bytes, start = min(n_bytes, repository.sizes[path]), bytearray()
    if n_bytes == 0:
        return b""
    with _told_in_one_line(repository.name), _get(repository, path, f"0-{n_bytes - 1}") as answer:
        for block in answer.iter_bytes():  # a server that knows no ranges sends everything
            start += block
            if len(start) >= n_bytes:
                break
    return bytes(start[:n_bytes])


def fetch(repository: Repository, path: str, part: Path, count: Callable[[int], None]) -> None:
    """Goes on with a file at the length that `part` has, until it is whole; `count` takes bytes.

    Raises:
        HubError: the hub does not answer, or the disk is full; what came stays in `part`.
    """
    size, n_fruitless = repository.sizes[path], 0
    if part.exists() and part.stat().st_size > size:
        part.unlink()
    with _told_in_one_line(repository.name), _Part(part, size, count) as file:
        while (begun := file.tell()) < size:
            try:
                _receive(repository, path, file)
            except OSError:  # a full disk, or an answer of the hub that a repetition will not mend
                raise
            except EdgestreamError:
                raise
            except Exception:  # the HTTP client below huggingface_hub has types of its own
                if n_fruitless == FRUITLESS_TRIES:
                    raise
            n_fruitless = 0 if file.tell() > begun else n_fruitless + 1
            if n_fruitless > FRUITLESS_TRIES:
                raise HubError(
                    f"{repository.name}: {constants.ENDPOINT} sends a part of {path} only"
                )
            if n_fruitless:
                time.sleep(PAUSE_S)
        file.flush()
        os.fsync(file.fileno())


def fetch_whole(
    repository: Repository, path: str, file: Path, count: Callable[[int], None], sha256: str = ""
) -> None:
    """As `fetch()`, through a part beside `file`. The checksum must be `sha256`, or where none is
    given what the hub says.

    Raises:
        ModelError: it is another one; the part is thrown away.
    """
    part = part_of(file)
    fetch(repository, path, part, count)
    _check(repository, path, part, sha256 or repository.sha256.get(path, ""))
    part.replace(file)


def part_of(file: Path) -> Path:
    """Where a file is while it is fetched; no name of a manifest begins with a dot."""
    return file.with_name(f".{file.name}.part")


def _check(repository: Repository, path: str, part: Path, sha256: str) -> None:
    blob = repository.git_blobs.get(path)
    if sha256:
        holds = folders.sha256_of(part) == sha256.lower()
    else:
        holds = blob is None or folders.git_blob_of(part) == blob
    if not holds:
        part.unlink()
        raise ModelError(
            f"{repository.name}: {path} came with a wrong checksum and was thrown away"
        )


def _receive(repository: Repository, path: str, file: _Part) -> None:
    begun = file.tell()
    with _get(repository, path, f"{begun}-") as answer:
        sent = answer.headers.get("Content-Range", "bytes 0-")
        if not sent.startswith(f"bytes {begun}-"):
            file.restart()  # the server knows no ranges
        for block in answer.iter_bytes():
            file.write(block)


@contextmanager
def _get(repository: Repository, path: str, byte_range: str) -> Iterator[Any]:
    """An open answer of the HTTP client, with some bytes of a file or with all."""
    url = hf_hub_url(repository.name, path, revision=repository.revision)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={byte_range}"}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=headers, timeout=timeout) as answer:
        hf_raise_for_status(answer)
        yield answer


class _Part(io.BufferedWriter):
    """The beginning of a file; takes no more bytes than the file was said to have."""

    def __init__(self, path: Path, size: int, count: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o644), "r+"))
        self._size, self._count = size, count
        count(self.seek(0, os.SEEK_END))

    def write(self, block: Any) -> int:
        if self.tell() + len(block) > self._size:
            raise HubError(f"{constants.ENDPOINT}: sends more than the {self._size} bytes it named")
        self._count(len(block))
        return super().write(block)

    def restart(self) -> None:
        """Empties the file."""
        self._count(-self.tell())
        self.seek(0)
        self.truncate()


# What can go wrong between here and the hub; of each error the first that fits.
_TROUBLES: list[tuple[Any, type[EdgestreamError], str]] = [  # type or types, raised as, line
    (hub_errors.OfflineModeIsEnabled, HubError,
     "{name}: HF_HUB_OFFLINE is set, nothing is fetched; unset it"),
    (hub_errors.GatedRepoError, ModelError,
     "{name}: its owner asks for consent; give it at {hub}/{name} and set HF_TOKEN"),
    (hub_errors.RepositoryNotFoundError, ModelError,
     "{name}: {hub} has no such model; if it is a private one, set HF_TOKEN"),
    (hub_errors.RevisionNotFoundError, ModelError, "{name}: {hub} has no such revision of it"),
    (hub_errors.RemoteEntryNotFoundError, ModelError,
     "{name}: {hub} lists a file that it does not have"),
    (hub_errors.HfHubHTTPError, HubError, "{name}: {hub} answered {status}; try again later"),
    (OSError, HubError, "{name}: {said}; pull it again to go on where it stopped"),
    ((ValueError, LookupError, TypeError, AttributeError), HubError,  # no JSON, or another form
     "{hub}: does not answer about {name} as a hub does ({said})"),
    # The HTTP client below huggingface_hub has types of its own.
    (Exception, HubError, "{name}: {hub} cannot be reached ({said}); try again"),
]  # fmt: skip


@contextmanager
def _told_in_one_line(name: str) -> Iterator[None]:
    """Raises what goes wrong as the HubError or ModelError of the table."""
    try:
        yield
    except EdgestreamError:
        raise
    except Exception as error:
        kind, line = next((kind, line) for of, kind, line in _TROUBLES if isinstance(error, of))
        status = getattr(getattr(error, "response", None), "status_code", "")
        parts = {"name": name, "hub": constants.ENDPOINT, "status": status, "said": _said(error)}
        raise kind(line.format(**parts)) from None


def _said(error: Exception) -> str:
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(said.split())[:200] or type(error).__name__
