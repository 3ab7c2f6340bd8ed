#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What docs/benchmarks.md shows of live comments, measured into the folder OUT and written into the
# page: about 45 minutes on two idle cores, 30 of them in real time. Needs `make dev`.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?usage: tools/bench/watch_all.sh OUT}")
python=$PWD/.venv/bin/python
mkdir -p "$out"

model=$PWD/models/tiny-watch # as it is in the tree, whatever is installed
"$python" -m edgestream bench watch -m "$model" --json "$out/watch.json" \
  --plot docs/benchmarks-watch.png
"$python" tools/bench/watch_soak.py -m "$model" --json "$out/watch-soak.json" \
  --plot docs/benchmarks-watch-soak.png
"$python" tools/bench/pacing.py -m "$model" --json "$out/watch-pacing.json"
"$python" tools/bench/watch_tables.py "$out" docs/benchmarks.md
