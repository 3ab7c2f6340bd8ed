#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What docs/benchmarks.md shows of captions of people, measured into the folder OUT and written into
# the page: about half an hour on two idle cores. Needs `make dev`; fetches the peers' packages.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?usage: tools/bench/people_all.sh OUT}")
python=$PWD/.venv/bin/python
mkdir -p "$out"

"$python" -m edgestream bench listen --json "$out/people.json" --plot docs/benchmarks-people.png
"$python" tools/bench/peers.py --json "$out/peers.json"
"$python" tools/bench/people_tables.py "$out" docs/benchmarks.md
