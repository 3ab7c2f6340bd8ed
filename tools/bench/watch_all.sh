#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What docs/benchmarks.md shows of live comments, measured into the folder OUT and written into the
# page: about 50 minutes on two idle cores, 31 of them in real time. CLIPS is a folder of real videos
# with truth.json; without it the part on real clips is left out. Needs `make dev`.
set -euo pipefail
usage="usage: tools/bench/watch_all.sh OUT [CLIPS]"
out=$(realpath -m "${1:?$usage}")
clips=${2:+$(realpath "$2")}
cd "$(dirname "$0")/../.."
python=$PWD/.venv/bin/python
mkdir -p "$out"

model=$PWD/models/nano-watch # as it is in the tree, whatever is installed
"$python" -m edgestream bench watch -m "$model" ${clips:+--clips "$clips"} \
  --json "$out/watch.json" --plot docs/benchmarks-watch.png
"$python" tools/bench/watch_soak.py -m "$model" --json "$out/watch-soak.json" \
  --plot docs/benchmarks-watch-soak.png
"$python" tools/bench/pacing.py --json "$out/watch-pacing.json"
"$python" tools/bench/watch_tables.py "$out" docs/benchmarks.md
