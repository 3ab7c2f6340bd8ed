#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What docs/benchmarks.md shows of synthetic-en, measured into the folder OUT and written into the page:
# about 20 minutes on two idle cores. Needs `make dev` and the packages of tools/train/captions.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?usage: tools/bench/all.sh OUT}")
python=$PWD/.venv/bin/python
mkdir -p "$out"

speak() { # sentences voices options...
  [ -e "$out/$1-$2/speech.jsonl" ] ||
    (cd tools/train/captions && "$python" speak.py "$1_test.txt" "$out/$1-$2" --voices "$2" "${@:3}")
}
speak everyday trained --every
speak everyday unseen --every
speak wider trained
speak wider unseen

model=$PWD/models/synthetic-en # as it is in the tree, whatever is installed
"$python" -m edgestream bench listen -m "$model" --quick --json "$out/quick.json"
"$python" -m edgestream bench listen -m "$model" --speech "$out/everyday-trained" \
  --speech "$out/everyday-unseen" --speech "$out/wider-trained" --speech "$out/wider-unseen" \
  --json "$out/listen.json" --plot docs/benchmarks-listen.png
"$python" tools/bench/soak.py "$out/everyday-trained" -m "$model" --json "$out/soak.json" \
  --plot docs/benchmarks-soak.png
"$python" tools/bench/delays.py "$out/everyday-trained" -m "$model" --json "$out/delays.json"
"$python" tools/bench/tables.py "$out" docs/benchmarks.md
