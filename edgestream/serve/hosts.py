# SPDX-License-Identifier: Apache-2.0
"""The names under which a server may be asked: what stands in the header Host, port included."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import psutil

from edgestream.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_any(host: str) -> bool:
    """Whether it stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def host_and_port(text: str, option: str) -> tuple[str, int]:
    """Of 10300, of 0.0.0.0:10300 and of [::]:10300; alone a port is one of this machine only.

    Raises UsageError that names the option.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise UsageError(f"{option} {text}: is no port; give such as 10300 or 0.0.0.0:10300")
    return host or LOOPBACK[0], int(port)


def allowed_hosts(host: str, port: int, more: Iterable[str] = ()) -> list[str]:
    """What Host may be, for a server on `host` and `port`; `more` as they are given."""
    names = [host, *LOOPBACK] if not is_any(host) else [*LOOPBACK, *own_names()]
    at_port = [f"{bracketed(name)}:{port}" for name in names]
    plain = [bracketed(name) for name in names] if port in (80, 443) else []
    return [*at_port, *plain, *more, *(f"{name}:{port}" for name in more if ":" not in name)]


def own_names() -> list[str]:
    """Addresses of this machine, and what others in the house call it."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = [
        address.address.partition("%")[0]
        for each in psutil.net_if_addrs().values()
        for address in each
        if address.family in families
    ]
    name = socket.gethostname()
    return [*found, name, *([] if name.endswith(".local") else [f"{name}.local"])]


def bracketed(host: str) -> str:
    """As it stands in an address: [::1]."""
    return f"[{host}]" if ":" in host else host


def page_address(host: str, port: int, *, tls: bool) -> str:
    """Where a person opens the page, on this machine if it can be reached there."""
    shown = "127.0.0.1" if is_any(host) else host
    return f"http{'s' if tls else ''}://{bracketed(shown)}:{port}/"
