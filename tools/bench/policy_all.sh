#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Trains the policy head of synthetic-en and measures all policies into the folder OUT, then writes
# docs/policies.md and its picture: about two minutes of processor time, the speech included. Needs
# `make dev`, matplotlib and the packages of tools/train/captions.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?usage: tools/bench/policy_all.sh OUT}")
python=$PWD/.venv/bin/python
model=$PWD/models/synthetic-en # as it is in the tree, whatever is installed
mkdir -p "$out"

for set in dev test; do
  [ -e "$out/everyday-$set/speech.jsonl" ] ||
    (cd tools/train/captions && "$python" speak.py "everyday_$set.txt" "$out/everyday-$set" \
      --voices trained --every)
done
"$python" tools/train/policy/train_policy.py "$out/everyday-dev" "$model/policy.toml" -m "$model"
sed -i '/^"policy.toml"/d' "$model/model.toml" # its [files] come last
echo "\"policy.toml\" = \"$(sha256sum "$model/policy.toml" | cut -d' ' -f1)\"" >> "$model/model.toml"
"$python" -m edgestream bench policy -m "$model" --speech "$out/everyday-test" --limit 100 \
  --json "$out/policies.json" --plot docs/policies.png
"$python" tools/bench/policy_table.py "$out/policies.json" docs/policies.md
