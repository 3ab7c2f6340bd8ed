# SPDX-License-Identifier: Apache-2.0
"""`edgestream serve`: captions for every program and every screen in the house."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from edgestream.cli.options import INPUT, MODEL, MORE, OUTPUT, option
from edgestream.cli.run import one_line_errors
from edgestream.errors import UsageError
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.serve.live import Live
    from edgestream.serve.models import Models

ACCESS = "Who may ask"
EXTRA = "the server is not installed; pip install 'edgestream[serve]'"
NEEDED = (
    "h11", "prometheus_client", "python_multipart", "starlette", "uvicorn", "wsproto", "wyoming",
)  # fmt: skip


def serve(
    host: Annotated[
        str, option(ACCESS, "Address that is listened on; 0.0.0.0: all, for others in the house.")
    ] = "127.0.0.1",
    port: Annotated[int, option(ACCESS, "Port; 0: any that is free.", "--port")] = 8765,
    token_file: Annotated[
        Path | None,
        option(
            ACCESS, "File with the secret that clients must send; made if it is not there. Needed"
            " for addresses beyond this machine.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        option(ACCESS, "Another name under which the server may be asked; may be repeated."),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        option(ACCESS, "Certificate (PEM) for https, which browsers want for a microphone that is"
               " not on this machine."),
    ] = None,
    tls_key: Annotated[Path | None, option(ACCESS, "Its private key (PEM).")] = None,
    wyoming: Annotated[
        str | None,
        option(
            ACCESS, "Port for Home Assistant, usually 10300; with an address before it"
            " (0.0.0.0:10300) for other machines: the protocol knows no token.",
            default="none",
        ),
    ] = None,
    source: Annotated[
        str,
        option(INPUT, "What the server itself listens to: mic, a sound file, or none."),
    ] = "none",
    device: Annotated[
        str | None, option(INPUT, "Its microphone, by name or number.", default="the system's")
    ] = None,
    watch: Annotated[
        str | None,
        option(INPUT, "Instead: what it watches, as of `edgestream watch` (0: the first camera)."),
    ] = None,
    model: Annotated[
        list[str] | None,
        option(MODEL, "Model for speech; the first is the usual one.", "-m", "--model",
               default=DEFAULT_MODEL),
    ] = None,
    transcripts: Annotated[
        Path | None, option(OUTPUT, "Folder where the lines of each session are kept.")
    ] = None,
    log_text: Annotated[
        bool, option(OUTPUT, "Write what is said into the log, too.", "--log-text")
    ] = False,
    open_page: Annotated[
        bool, option(OUTPUT, "Show the page in this machine's browser.", "--open")
    ] = False,
    max_sessions: Annotated[
        int | None,
        option(MORE, "Sessions at once, at most.", default="as many as can be computed in time"),
    ] = None,
) -> None:  # fmt: skip
    """Captions for browsers and other programs, until Ctrl-C.

    \b
      edgestream serve                                    a page on this machine
      edgestream serve --source mic                       its microphone, for all readers
      edgestream serve --host 0.0.0.0 --token-file token  for phones in the house
    """
    with one_line_errors():
        _need_extra()
        from edgestream.serve.app import Settings, build_app
        from edgestream.serve.hosts import allowed_hosts, is_loopback
        from edgestream.serve.limits import Limits
        from edgestream.serve.logs import write_to_stderr
        from edgestream.serve.run import bind, run
        from edgestream.serve.token import read_token

        if token_file is None and not is_loopback(host):
            raise UsageError(
                f"--host {host} lets other machines in: give --token-file FILE (made if it is"
                " not there)"
            )
        tls = _tls(tls_certificate, tls_key)
        limits = Limits()
        if max_sessions is not None:
            if max_sessions < 1:
                raise UsageError(f"--max-sessions is {max_sessions}; it must be 1 or more")
            limits = replace(limits, sessions=max_sessions)
        live = _live(source, device, watch)
        token = read_token(token_file) if token_file else None
        with bind(host, port) as bound, _wyoming(wyoming) as house:
            port = bound.getsockname()[1]
            settings = Settings(
                models=model or [DEFAULT_MODEL],
                hosts=allowed_hosts(host, port, allow_host or []),
                token=token, live=live, transcripts=transcripts, log_text=log_text, limits=limits,
                wyoming=house,
            )  # fmt: skip
            app = build_app(settings)
            write_to_stderr()
            ready = partial(_ready, host, port, token, open_page, tls is not None, house)
            run(app, bound, limits, ready, tls)


def _need_extra() -> None:
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in NEEDED):
        raise UsageError(EXTRA)


def _wyoming(where: str | None) -> AbstractContextManager[socket.socket | None]:
    """A port for that protocol, if there is to be one."""
    if where is None:
        return nullcontext()
    from edgestream.serve.hosts import host_and_port
    from edgestream.serve.run import bind

    return bind(*host_and_port(where, "--wyoming"), "--wyoming")


def _live(source: str, device: str | None, watch: str | None) -> Callable[[Models], Live] | None:
    """What makes the server's own source; it is checked now."""
    if watch is not None and source != "none":
        raise UsageError("--watch and --source: give one of them")
    if device is not None and source != "mic":
        raise UsageError("--device is for --source mic only; leave it out")
    if watch is not None:
        from edgestream.serve.own_source import watching

        return watching(watch)
    if source == "none":
        return None
    from edgestream.serve.own_source import hearing

    return hearing(None if source == "mic" else Path(source), device)


def _tls(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("--tls-certificate and --tls-key: give both, or none")
    return certificate, key


def _ready(
    host: str, port: int, token: str | None, open_page: bool, tls: bool,
    wyoming: socket.socket | None,
) -> None:  # fmt: skip
    """Says where the page is; a terminal is told the token with it."""
    from edgestream.serve.hosts import is_any, is_loopback, own_names, page_address

    page = page_address(host, port, tls=tls)
    secret = f"#token={token}" if token else ""
    shown = secret if sys.stderr.isatty() else ""
    tell(f"edgestream serves {page}{shown} (Ctrl-C ends)")
    if wyoming is not None:
        address, its_port = wyoming.getsockname()[:2]
        freely = "" if is_loopback(address) else "; no token guards it: who reaches it may use it"
        tell(f"for Home Assistant (Wyoming): {address} port {its_port}{freely}")
    if is_any(host):
        beyond = [name for name in own_names() if "." in name and not name.startswith("127.")]
        for name in beyond[:1]:
            tell(f"phones in the house: {page_address(name, port, tls=tls)}?read{shown}")
    if open_page:
        import webbrowser

        webbrowser.open(page + secret)
