# SPDX-License-Identifier: Apache-2.0
"""Whether a server stayed the same and lost nothing: reasons against it, and a table."""

from __future__ import annotations

from typing import Any

from rich.table import Table

MOST_SLOPE = 1.0  # MB for each hour of sound
LEAST_HOURS = 4.0  # of sound, before which a slope says nothing
MORE_THREADS, MORE_FILES = 1, 4  # that may be there by chance
NEAR_MS = 15_000.0  # from the begin of a new session: its first line may be cut elsewhere
WORDS_AT_A_BORDER = 2  # that may differ for each session that was begun anew


def reasons(figures: dict[str, Any]) -> list[str]:
    """Why it is not as it must be; none if it is."""
    found = [*_growth(figures["server"])]
    if figures["exit_code"] != 0:
        found.append(f"the server ended with exit code {figures['exit_code']}")
    if figures["traces"]:
        found.append(f"{figures['traces']} faults in the server's log")
    for n, client in enumerate(figures["clients"]):
        found += [f"client {n}: {why}" for why in _losses(client)]
    return found


def _growth(server: dict[str, Any]) -> list[str]:
    found = []
    slope = server["rss_slope_mb_per_hour_of_sound"]
    if server["sound_h"] >= LEAST_HOURS and slope > MOST_SLOPE:
        found.append(f"memory grows by {slope:.2f} MB for each hour of sound")
    for name, more in (("threads", MORE_THREADS), ("files", MORE_FILES)):
        grown = server[name]["last"] - server[name]["first"]
        if grown > more:
            found.append(f"{grown} more {name} at the end than at the begin")
    return found


def _losses(client: dict[str, Any]) -> list[str]:
    if client["sessions"] == 1:
        return [] if client["identical"] else ["its lines are not those of the library"]
    found = []
    far = [d for d in client["differences"] if d["border_ms"] > NEAR_MS]
    if far:
        found.append(f"{len(far)} differences far from where a session begins")
    borders = client["sessions"] - 1
    if client["words_lost"] + client["words_doubled"] > WORDS_AT_A_BORDER * borders:
        found.append(
            f"{client['words_lost']} words lost, {client['words_doubled']} too many"
            f" at {borders} borders"
        )
    return found


def table(figures: dict[str, Any]) -> Table:
    """The summary."""
    server, live, clients = figures["server"], figures["live_client"], figures["clients"]
    shown = Table("", "", show_header=False)
    rows = {
        "sound, over all clients": f"{server['sound_h']:.1f} h in {server['wall_min']:.0f} min",
        "memory after 10 min": f"{server['rss_mb_at_10_min']:.0f} MB",
        "memory at the end": f"{server['rss_mb_at_end']:.0f} MB",
        "memory for each hour of sound": f"{server['rss_slope_mb_per_hour_of_sound']:+.2f} MB",
        "threads, first and last": _pair(server["threads"]),
        "files, first and last": _pair(server["files"]),
        "an answer comes within (95 %)": f"{server['answer_ms_p95']:.0f} ms",
        "live client behind (95 %)": f"{live['behind_ms_p95']:.0f} ms",
        "lines": str(sum(client["lines"] for client in clients)),
        "words lost, too many": _sums(clients, "words_lost", "words_doubled"),
        "connections, sessions": _sums(clients, "connections", "sessions"),
        "faults": str(len(figures["faults"])),
        "passed": "; ".join(figures["reasons"]) or "yes",
    }
    for name, value in rows.items():
        shown.add_row(name, value)
    return shown


def _pair(counted: dict[str, int]) -> str:
    return f"{counted['first']}, {counted['last']}"


def _sums(clients: list[dict[str, Any]], *names: str) -> str:
    return ", ".join(str(sum(client[name] for client in clients)) for name in names)
