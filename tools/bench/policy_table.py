# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of `edgestream bench policy` into docs/policies.md, between its two marks.

python tools/bench/policy_table.py policies.json docs/policies.md
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tables import END, START, about, percent, table

HEADING = (
    "policy | setting | word errors | fixed delay, same time | fixed delay, same LAAL"
    " | shown after, mean / p95 | AL | LAAL | NE | deferred"
)


def row(f: dict[str, Any]) -> tuple[str, ...]:
    fixed = [f[f"fixed_wer_at_{name}"] for name in ("shown", "laal")]
    return (
        f["policy"],
        f["setting"],
        percent(f["wer"]),
        *("" if wer is None or f["policy"] == "fixed delay" else percent(wer) for wer in fixed),
        f"{f['shown_after_ms']:.0f} / {f['shown_after_p95_ms']:.0f} ms",
        f"{f['al_ms']:.0f} ms",
        f"{f['laal_ms']:.0f} ms",
        f"{f['ne']:.2f}",
        percent(f["deferred"]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path)
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    figures = json.loads(args.figures.read_text(encoding="utf-8"))
    said = f"{figures['sentences']} sentences, {figures['words']} words of {figures['speech']}."
    measured = f"{about(figures)} {said}\n\n{table(HEADING, *map(row, figures['policies']))}"
    page = args.page.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    args.page.write_text(f"{before}{START}\n\n{measured}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
