# SPDX-License-Identifier: Apache-2.0
"""Streams when a process forks, starts another or ends: it ends well and prints nothing odd."""

import copy
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

import edgestream as es
from edgestream.errors import UsageError
from edgestream.system.native_work import Gate, native_work

DATA = Path(es.__file__).parent / "data"
BEGIN = f"""
import asyncio, multiprocessing, os, sys, threading, time
import soundfile
import edgestream as es
SPEECH = soundfile.read({str(DATA / "sample.flac")!r}, dtype="float32")[0][: 6 * 16000]

def text(events):
    return " ".join(event.text for event in events if isinstance(event, es.Final))

def plain(model):
    stream = model.stream()
    return text(stream.push(SPEECH) + stream.finish())
"""
MODELS = ["synthetic-en", "whisper-tiny.en"]


def program(code, tmp_path, model="synthetic-en"):
    """Runs it as a file, which `spawn` wants; a minute is what a hang takes."""
    path = tmp_path / "program.py"
    path.write_text(BEGIN + f"MODEL = {model!r}\n" + textwrap.dedent(code))
    command = [sys.executable, "-W", "ignore::DeprecationWarning", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def ends_well(code, tmp_path, model="synthetic-en"):
    done = program(code, tmp_path, model)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


# Ends


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("late_s", [0.0, 0.05, 0.13])
def test_a_program_ends_while_a_daemon_thread_computes(model, late_s, tmp_path):
    code = f"""
        model = es.load(MODEL)
        begun = threading.Event()
        def work():
            while True:
                stream = model.stream()
                for at in range(0, len(SPEECH), 640):
                    stream.push(SPEECH[at : at + 640])
                    begun.set()
        for _ in range(2):
            threading.Thread(target=work, daemon=True).start()
        begun.wait()
        time.sleep({late_s})
    """
    assert ends_well(code, tmp_path, model) == []


def test_a_program_ends_while_a_daemon_thread_loads_a_model(tmp_path):
    code = """
        def work():
            while True:
                es.load("whisper-tiny.en")
        threading.Thread(target=work, daemon=True).start()
        time.sleep(1)
    """
    assert ends_well(code, tmp_path) == []


def test_a_program_ends_while_a_daemon_thread_watches(tmp_path):
    code = """
        import numpy as np
        from edgestream.sources.picture import Picture
        model = es.load_watcher()
        begun = threading.Event()
        def work():
            rng = np.random.default_rng(0)
            stream, now_ms = model.stream(), 0
            while True:
                pixels = rng.integers(0, 255, (240, 320, 3), np.uint8)
                stream.push(Picture(pixels, now_ms))
                now_ms += 200
                begun.set()
        threading.Thread(target=work, daemon=True).start()
        begun.wait()
    """
    assert ends_well(code, tmp_path) == []


@pytest.mark.parametrize("callbacks", ["", "on_final=id"], ids=["iterated", "callbacks"])
def test_a_program_ends_with_an_open_stream_that_it_never_left(callbacks, tmp_path):
    code = f"""
        stream = es.load(MODEL).open_stream({callbacks}).__enter__()
        for _ in range(3):
            stream.push(SPEECH[:16000])
        def push():
            while True:
                stream.push(SPEECH[:16000])
        for work in (push, lambda: [] if {bool(callbacks)} else list(stream)):
            threading.Thread(target=work, daemon=True).start()
    """
    assert ends_well(code, tmp_path) == []


def test_a_program_ends_by_an_error_within_an_open_stream(tmp_path):
    code = """
        with es.load(MODEL).open_stream(on_final=print) as stream:
            stream.push(SPEECH[:32000])
            sys.exit(3)
    """
    done = program(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_a_loop_ends_with_streams_that_nobody_left(tmp_path):
    code = """
        async def main():
            stream = await es.load(MODEL).open_stream().__aenter__()
            await stream.push(SPEECH)
            asyncio.create_task(read(stream))
            kept.append(stream)
            await asyncio.sleep(0)
        async def read(stream):
            async for event in stream:
                pass
        async def listens():
            async for event in es.listen(SAMPLE):
                break
        kept = []
        asyncio.run(main())
        asyncio.run(listens())
        print("done")
    """
    code = code.replace("SAMPLE", repr(str(DATA / "sample.flac")))
    assert ends_well(code, tmp_path) == ["done"]


def test_a_session_is_left_by_break_and_at_the_end(tmp_path):
    code = f"""
        for _ in range(2):
            for event in es.listen({str(DATA / "person.flac")!r}, fast=True):
                if isinstance(event, es.Final):
                    break
        left = iter(es.listen({str(DATA / "person.flac")!r}, fast=True))
        next(left)
        print("done")
    """
    assert ends_well(code, tmp_path) == ["done"]


# Forks


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


@FORKS
@pytest.mark.parametrize("model", MODELS)
def test_children_use_the_model_of_a_parent_whose_threads_compute(model, tmp_path):
    code = """
        model, over = es.load(MODEL), threading.Event()
        def compute():
            while not over.is_set():
                plain(model)
        def in_child():
            return plain(model)
        expected = plain(model)
        threads = [threading.Thread(target=compute) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                print(pool.apply(in_child) == expected)
        over.set()
    """
    assert ends_well(code, tmp_path, model) == ["True"] * 4


@FORKS
def test_a_child_is_refused_the_streams_of_its_parent_in_one_line(tmp_path):
    code = f"""
        model = es.load(MODEL)
        plain_stream, watching = model.stream(), es.load_watcher().stream()
        session = es.listen({str(DATA / "sample.flac")!r}, model=model)
        next(iter(session))
        def tried():
            yield lambda: plain_stream.push(SPEECH)
            yield plain_stream.finish
            yield watching.finish
            yield lambda: next(iter(session))
            yield lambda: opened.push(SPEECH)
            yield opened.finish
            yield lambda: next(iter(opened))
            yield lambda: unused.__enter__()
        unused = model.open_stream()
        with model.open_stream() as opened:
            opened.push(SPEECH)
            if (pid := os.fork()) == 0:
                for call in tried():
                    try:
                        call()
                    except es.EdgestreamError as error:
                        print(error)
                sys.exit(0)  # leaves the block, and ends as a program does
            assert os.waitpid(pid, 0)[1] == 0
        print(text(opened) == plain(model))
        print(len(list(session)) > 3)
    """
    *refused, same, went_on = ends_well(code, tmp_path)
    assert refused == ["stream: opened in another process; open it here"] * 8
    assert (same, went_on) == ("True", "True")


@FORKS
def test_a_child_opens_streams_of_its_own_on_threads_of_its_own(tmp_path):
    code = """
        model = es.load(MODEL)
        def in_child():
            with model.open_stream() as stream:
                stream.push(SPEECH)
            return text(stream)
        with model.open_stream() as own:
            own.push(SPEECH)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                found = pool.starmap(in_child, [()] * 2)
        print({text(own), *found} == {plain(model)})
    """
    assert ends_well(code, tmp_path) == ["True"]


def test_a_callback_may_fork(tmp_path):
    code = """
        def told(final):
            if (pid := os.fork()) == 0:
                os._exit(0)
            print(os.waitpid(pid, 0)[1])
        with es.load(MODEL).open_stream(on_final=told) as stream:
            stream.push(SPEECH)
    """
    assert set(ends_well(code, tmp_path)) == {"0"}


# Starts others


def test_a_started_process_loads_the_model_by_its_folder(tmp_path):
    code = """
        def in_child(folder):
            return plain(es.load(folder))
        if __name__ == "__main__":
            model = es.load(MODEL)
            with model.open_stream() as own:
                own.push(SPEECH)
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.apply(in_child, (model.folder,)) == plain(model))
    """
    assert ends_well(code, tmp_path) == ["True"]


@pytest.mark.parametrize("name", ["pickle", "copy", "deepcopy"])
def test_nothing_that_lives_in_a_process_is_copied(name):
    copied = {"pickle": pickle.dumps, "copy": copy.copy, "deepcopy": copy.deepcopy}[name]
    model, watcher = es.load("synthetic-en"), es.load_watcher()
    session = es.listen(DATA / "sample.flac", model=model)
    opened = model.open_stream()
    for thing, way_out in [
        (model, r"send model\.folder, and load\(\) it there"),
        (es.load(), r"send model\.folder, and load\(\) it there"),
        (watcher, r"send model\.folder, and load_watcher\(\) it there"),
        (model.stream(), "open one there"),
        (watcher.stream(), "open one there"),
        (session, "open one there"),
        (opened, "open one there"),
    ]:
        with pytest.raises(UsageError, match=f"cannot be copied or sent .*; {way_out}"):
            copied(thing)
    session.close()


# The gate


def test_a_gate_waits_for_those_inside_and_keeps_others_out():
    gate, told = Gate(), []
    gate.enter()

    def close():
        gate.close()
        told.append("closed")
        gate.enter()  # whoever closed it may
        gate.leave()
        other.start()
        gate.open()

    def enter():
        gate.enter()
        told.append("entered")
        gate.leave()

    closer, other = threading.Thread(target=close), threading.Thread(target=enter)
    closer.start()
    closer.join(0.05)
    assert told == []
    gate.enter()  # deeper: this thread is inside already
    gate.leave()
    gate.leave()
    closer.join()
    other.join()
    assert told == ["closed", "entered"]


def test_a_gate_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr("edgestream.system.native_work.LONGEST_WAIT_S", 0.01)
    gate = Gate()
    inside = threading.Thread(target=gate.enter)
    inside.start()
    inside.join()
    gate.close()


def test_an_error_leaves_the_gate():
    with pytest.raises(ZeroDivisionError), native_work():
        raise ZeroDivisionError
    if hasattr(os, "fork") and (pid := os.fork()) == 0:
        os._exit(0)
    assert not hasattr(os, "fork") or os.waitpid(pid, 0)[1] == 0


def test_a_push_of_much_is_computed_in_pieces_between_which_a_process_may_fork(monkeypatch):
    model = es.load("synthetic-en")
    stream, depths = model.stream(), []
    push = stream.stages.push

    def seen(samples):
        depths.append(len(samples))
        return push(samples)

    monkeypatch.setattr(type(stream.stages), "push", lambda _, samples: seen(samples))
    stream.push(np.zeros(40_000, np.float32))
    assert depths == [16000, 16000, 8000]
