# SPDX-License-Identifier: Apache-2.0
"""espeak-ng and Piper: sound comes out, and what is wrong is one line.

A real voice of Piper is tried where EDGESTREAM_TEST_PIPER is the path of one and piper-tts is
installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from edgestream.errors import EdgestreamError, ModelError, OperationError, UsageError
from edgestream.speaking.engine import Engine, speakable
from edgestream.speaking.espeak import EspeakEngine
from edgestream.speaking.open import open_engine
from edgestream.speaking.piper import PiperEngine

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is missing")
posix = pytest.mark.skipif(os.name != "posix", reason="programs are shell scripts here")
PIPER_VOICE = os.environ.get("EDGESTREAM_TEST_PIPER", "")


def said(engine: Engine, text: str, language: str = "en") -> tuple[np.ndarray, int]:
    chunks = list(engine.speak(text, language))
    rates = {chunk.rate_hz for chunk in chunks}
    assert len(rates) == 1
    return np.concatenate([chunk.samples for chunk in chunks]), rates.pop()


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that are found before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """The two files of a voice, of which the network is none."""
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"none")
    settings = {
        "audio": {"sample_rate": 16000},
        "espeak": {"voice": "en-us"},
        "inference": {"length_scale": 1.5},
    }
    Path(f"{path}.json").write_text(json.dumps(settings))
    return path


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)  # type: ignore[arg-type]


def one_line(error: pytest.ExceptionInfo[EdgestreamError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@needs_espeak
def test_espeak_speaks_in_chunks() -> None:
    engine = EspeakEngine()
    chunks = list(engine.speak("Good evening to all of you.", "en"))
    assert len(chunks) > 5
    samples, rate_hz = said(engine, "Good evening to all of you.")
    assert rate_hz == 22_050
    assert samples.dtype == np.float32
    assert 1.0 < len(samples) / rate_hz < 4.0
    assert 0.05 < np.abs(samples).max() <= 1.0
    engine.close()


@needs_espeak
def test_languages_voices_and_speeds_differ() -> None:
    text = "The table of the restaurant"
    plain, _ = said(EspeakEngine(), text)
    french, _ = said(EspeakEngine(), text, "fr")
    other, _ = said(EspeakEngine("en-us+f3"), text, "fr")
    slow, _ = said(EspeakEngine(speed=0.5), text)
    assert not np.array_equal(plain[:5000], french[:5000])
    assert not np.array_equal(other[:5000], french[:5000])
    assert len(slow) > 1.5 * len(plain)


@needs_espeak
@pytest.mark.parametrize("text", ["日本語 ünï ñ", "\udcff\x00 a \x1b[0m", "-v --help", "x" * 3000])
def test_any_text_is_spoken(text: str) -> None:
    samples, _ = said(EspeakEngine(), text)
    assert np.abs(samples).max() > 0.01


def test_what_is_for_the_eye_is_not_spoken() -> None:
    assert speakable("**So** `it`\n[[is]]  snake_case\x07") == "So it is snake case"


@needs_espeak
@pytest.mark.parametrize("code", ["en", "fr", "de", "pt-BR", "zh", "ja", "ar"])
def test_languages_by_code(code: str) -> None:
    EspeakEngine().expect(code)


@needs_espeak
@pytest.mark.parametrize("code", ["xx", "", "-q", "../../etc/passwd", "fr; ls", "é"])
def test_an_unknown_language_is_one_line(code: str) -> None:
    with pytest.raises(UsageError) as refused:
        EspeakEngine().expect(code)
    assert one_line(refused) == (
        f"speech: language '{code}': espeak-ng has none of this name; see espeak-ng --voices"
    )


@needs_espeak
def test_an_unknown_voice_is_one_line() -> None:
    with pytest.raises(UsageError, match="voice 'nobody': espeak-ng has none of this name"):
        open_engine("nobody")


@pytest.mark.parametrize("speed", [0, 0.4, 2.6, float("nan"), "fast"])
def test_a_speed_that_cannot_be_is_one_line(speed: float) -> None:
    with pytest.raises(UsageError, match=r"speech: a speed.*give 0\.5 to 2\.5"):
        open_engine(speed=speed)


def test_a_missing_espeak_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError) as refused:
        open_engine()
    assert one_line(refused) == (
        "speech: espeak-ng is not installed; install it (Debian, Ubuntu: apt-get install espeak-ng;"
        " macOS: brew install espeak-ng) or give the path of a Piper voice (.onnx)"
    )


@posix
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("cat > /dev/null; echo first >&2; echo no disk >&2; exit 3", "failed: no disk"),
        ("kill -9 $$", "failed: it ended with -9"),
        ("cat > /dev/null; echo hello", "wrote no WAV of 16 bits mono"),
    ],
)
def test_a_program_that_fails_is_one_line(programs: Path, script: str, reason: str) -> None:
    program(programs, "espeak-ng", script)
    with pytest.raises(OperationError, match=reason):
        list(EspeakEngine().speak("Hello.", "en"))


@posix
def test_a_clause_that_is_stopped_ends_its_program(programs: Path) -> None:
    program(programs, "espeak-ng", "exec sleep 600")
    engine = EspeakEngine()
    import threading

    timer = threading.Timer(0.2, engine.stop)
    timer.start()
    with pytest.raises(OperationError, match="it ended with -9"):
        list(engine.speak("Hello.", "en"))
    timer.join()


@posix
def test_piper_as_a_program(programs: Path, voice: Path, no_package: None) -> None:
    # It says how it was called, and then a sample for each byte of the text.
    log = programs / "calls"
    program(programs, "piper", f'echo "$@" >> {log}; text=$(cat); printf "%s%s" "$text" "$text"')
    engine = open_engine(str(voice), speed=0.75)
    for _ in range(2):
        samples, rate_hz = said(engine, "hello")
        assert rate_hz == 16_000
        expected = np.frombuffer(b"hellohello", "<i2") / np.float32(32768)
        assert np.array_equal(samples, expected)
    engine.close()
    assert log.read_text().splitlines()[0] == (
        f"--model {voice} --output-raw --length_scale 2.0000"
    )


@posix
def test_a_program_that_is_gone_costs_only_the_clauses_that_need_it(
    programs: Path, voice: Path, no_package: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs, "piper", "exec cat")
    path = os.environ["PATH"]
    engine = open_engine(str(voice))
    monkeypatch.setenv("PATH", "")  # as where an update takes it away meanwhile
    assert len(said(engine, "hello")[0]) == 3
    with pytest.raises(UsageError, match="Piper is not installed"):
        said(engine, "hello")
    monkeypatch.setenv("PATH", path)
    assert len(said(engine, "hello")[0]) == 3
    engine.close()


def test_piper_as_a_package(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []

    class PiperVoice:
        def __init__(self, session: object, config: dict[str, object]) -> None:
            loaded.append((session, config["audio"]))

        def synthesize(self, text: str, settings: SimpleNamespace) -> object:
            for sentence in text.split(". "):
                if "zzz" in sentence:
                    raise KeyError("phoneme")
                samples = np.full(len(sentence), settings.length_scale, np.float32)
                yield SimpleNamespace(audio_float_array=samples, sample_rate=16_000)

    fake = ModuleType("piper")
    fake.PiperVoice = PiperVoice  # type: ignore[attr-defined]
    fake.SynthesisConfig = SimpleNamespace  # type: ignore[attr-defined]
    fake.PiperConfig = SimpleNamespace(from_dict=dict)  # type: ignore[attr-defined]
    monkeypatch.setattr("edgestream.speaking.piper.open_session", lambda path: path)
    monkeypatch.setitem(sys.modules, "piper", fake)
    engine = open_engine(str(voice), speed=2.0)
    assert [len(chunk.samples) for chunk in engine.speak("One. Two three", "en")] == [3, 9]
    assert next(engine.speak("a", "en")).samples[0] == 0.75
    assert loaded == [(voice, {"sample_rate": 16000})]
    with pytest.raises(OperationError, match=r"speech: tiny.onnx: 'phoneme'"):
        list(engine.speak("zzz", "en"))
    engine.expect("en-GB")
    with pytest.raises(UsageError) as refused:
        engine.expect("fr")
    assert one_line(refused) == "speech: tiny.onnx speaks 'en', not 'fr'; give a voice for it"


def test_a_missing_piper_says_what_to_install(
    voice: Path, no_package: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError) as refused:
        open_engine(str(voice))
    assert one_line(refused) == (
        "speech: Piper is not installed; pip install piper-tts, and fetch a voice:"
        " python -m piper.download_voices NAME"
    )


@pytest.mark.parametrize("content", ["{", "[]", '{"audio": {}}', '{"audio": {"sample_rate": 0}}'])
def test_damaged_settings_of_a_voice_are_one_line(voice: Path, content: str) -> None:
    Path(f"{voice}.json").write_text(content)
    with pytest.raises(ModelError, match=r"tiny\.onnx\.json: "):
        PiperEngine(voice)


@pytest.mark.parametrize("name", ["tiny.onnx", "tiny.onnx.json"])
def test_a_voice_needs_both_files(voice: Path, name: str) -> None:
    (voice.parent / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: there is no such file"):
        open_engine(str(voice))


@pytest.mark.skipif(
    not PIPER_VOICE or importlib.util.find_spec("piper") is None,
    reason="EDGESTREAM_TEST_PIPER is not the path of a voice, or piper-tts is not installed",
)
def test_a_real_voice_of_piper() -> None:
    engine = open_engine(PIPER_VOICE)
    samples, rate_hz = said(engine, "Good evening to all of you.")
    assert 0.8 < len(samples) / rate_hz < 4.0
    assert 0.05 < np.abs(samples).max() <= 1.0
    engine.close()


@pytest.mark.skipif(importlib.util.find_spec("piper") is None, reason="piper-tts is missing")
def test_a_damaged_voice_of_piper_is_one_line(voice: Path) -> None:
    with pytest.raises(ModelError, match=r"tiny\.onnx"):
        open_engine(str(voice))
