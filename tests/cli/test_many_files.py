# SPDX-License-Identifier: Apache-2.0
"""Many recordings at once, as a user runs it: names, bad files, kills and going on after them."""

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from test_cli import COMMAND, SAMPLE, on_a_terminal, run

from edgestream.batch.recordings import find_recordings

CLIPS = Path(__file__).resolve().parents[1] / "data"
SYNTHETIC = ["-m", "synthetic-en"]
NO_PROCESS = 1 << 30  # an id that no system gives


@pytest.fixture
def folder(tmp_path):
    """Three recordings, one of them in a folder of its own, among what is none."""
    into = tmp_path / "talks"
    (into / "may").mkdir(parents=True)
    (into / ".trash").mkdir()
    shutil.copy(CLIPS / "tea_rms.flac", into / "tea.flac")
    shutil.copy(CLIPS / "door_f2.flac", into / "may" / "door.FLAC")
    shutil.copy(CLIPS / "milk_en_us.flac", into / "milk.flac")
    shutil.copy(CLIPS / "lake_awb.flac", into / ".hidden.flac")
    shutil.copy(CLIPS / "lake_awb.flac", into / ".trash" / "lake.flac")
    (into / "notes.txt").write_text("nothing to hear")
    return into


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A recording that takes some seconds to caption."""
    samples, rate_hz = soundfile.read(SAMPLE, dtype="int16")
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, np.tile(samples, 20), rate_hz)
    return path


def alone(path, output, *args):
    """What the command of one file writes."""
    done = run("listen", path, "--fast", "-o", output, *args)
    assert done.returncode == 0, done.stderr
    return output.read_bytes()


def written(folder):
    """All files in a folder, by their names in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def start(*args):
    """The command in a process group of its own, as a shell has it."""
    return subprocess.Popen(
        [*COMMAND, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd="/", start_new_session=True, preexec_fn=heeded,
    )  # fmt: skip


def heeded():
    """A closed terminal ends the command, also where the tests were begun by `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def half_written(folder, process):
    """The file that a process is writing, waited for, and the id of that process."""
    while process.poll() is None:
        for path in folder.glob(".edgestream-*.part"):
            if path.stat().st_size:
                return path, int(re.findall(r"\d+", path.name)[0])
        time.sleep(0.02)
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("form", ["text", "jsonl", "srt", "vtt"])
def test_each_file_is_as_the_command_of_one_file_writes_it(folder, tmp_path, form):
    out = tmp_path / "out"
    done = run("listen", folder, SAMPLE, *SYNTHETIC, "--format", form, "--output-dir", out)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    suffix = "txt" if form == "text" else form
    sources = {"tea": folder / "tea.flac", "may/door": folder / "may" / "door.FLAC",
               "milk": folder / "milk.flac", "sample": SAMPLE}  # fmt: skip
    expected = {
        f"{name}.{suffix}": alone(path, tmp_path / f"one.{suffix}", *SYNTHETIC, "--format", form)
        for name, path in sources.items()
    }
    assert written(out) == expected
    assert "4 captioned, 0 there already, 0 failed" in done.stderr


def test_a_person_is_heard_as_by_the_command_of_one_file(tmp_path):
    person = SAMPLE.with_name("person.flac")
    done = run(
        "listen", person, SAMPLE, "--format", "srt", "--output-dir", tmp_path / "out", "--fast",
        "--stats",
    )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "out/person.srt").read_bytes() == alone(person, tmp_path / "one.srt")
    assert re.search(r"heard [\d.]+ s in [\d.]+ s \([\d.]+ times as fast", done.stderr)


def test_what_is_there_is_left_out_until_its_sound_is_newer(folder, tmp_path):
    out = tmp_path / "out"
    command = ["listen", folder, *SYNTHETIC, "--output-dir", out]
    assert run(*command).returncode == 0
    first = written(out)
    for path in out.rglob("*.txt"):
        path.write_text("corrected by hand")
    assert "0 captioned, 3 there already" in run(*command).stderr
    os.utime(folder / "tea.flac", (2e9, 2e9))
    assert "1 captioned, 2 there already" in run(*command).stderr
    assert (out / "milk.txt").read_text() == "corrected by hand"
    assert "3 captioned, 0 there already" in run(*command, "--again").stderr
    assert written(out) == first


def test_bad_files_do_not_stop_the_others(folder, tmp_path):
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("this is no sound at all, " * 100)
    soundfile.write(folder / "nothing.wav", np.zeros(0, np.int16), 16000)
    half = SAMPLE.read_bytes()[: SAMPLE.stat().st_size // 2]
    (folder / "half.flac").write_bytes(half)
    os.mkfifo(folder / "pipe.wav")
    (tmp_path / "none").mkdir()
    out = tmp_path / "out"
    done = run(
        "listen", tmp_path / "missing.wav", tmp_path / "none", folder, *SYNTHETIC, "--output-dir",
        out, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert set(written(out)) == {"tea.txt", "milk.txt", "may/door.txt", "half.txt"}
    failed = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 6
    for name, why in [
        ("missing.wav", "no such file"), ("none", "no sound files"), ("empty.wav", "is empty"),
        ("text.mp3", "not audio"), ("nothing.wav", "no sound in it"), ("pipe.wav", "not a regular"),
    ]:  # fmt: skip
        assert any(f"/{name}: " in line and why in line for line in failed), name
    assert re.search(r"/half.flac: lost: .*damaged file\n", done.stderr)
    assert "4 captioned, 0 there already, 6 failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_permission_is_named(folder, monkeypatch):
    """Told to Python, since root may read everything."""
    scandir = os.scandir

    def refused(path):
        if Path(path).name == "may":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = find_recordings([folder])
    assert [each.path.name for each in found.recordings] == ["milk.flac", "tea.flac"]
    assert found.unusable == [(folder / "may", "cannot be read: Permission denied")]


def test_videos_in_a_folder_are_left_out_and_that_is_said(folder, tmp_path):
    for name in ("a.m4a", "b.MP4", "c.m4a"):
        (folder / name).write_bytes(b"\0\0\0\x20ftypM4A ")
    done = run("listen", folder, *SYNTHETIC, "--output-dir", tmp_path / "out")
    assert done.returncode == 0
    assert "3 files are left out (.m4a .mp4)" in done.stderr
    assert "3 captioned" in done.stderr


def test_two_of_one_name_keep_their_whole_names(folder, tmp_path):
    samples, rate_hz = soundfile.read(folder / "tea.flac", dtype="int16")
    soundfile.write(folder / "Tea.wav", samples, rate_hz)
    out = tmp_path / "out"
    again = f"{folder}/may/../tea.flac"
    done = run("listen", folder, again, *SYNTHETIC, "--output-dir", out)
    assert done.returncode == 0
    assert set(written(out)) == {"Tea.wav.txt", "tea.flac.txt", "milk.txt", "may/door.txt"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["{0}/tea.flac", "{0}/milk.flac"], "2 sources: give --output-dir FOLDER"),
        (["{0}"], "is a folder: give --output-dir FOLDER"),
        (["--output-dir", "{1}"], "--output-dir is for files"),
        (["-", "--output-dir", "{1}"], "- (stdin) is not for --output-dir"),
        (["{0}", "-o", "all.srt", "--output-dir", "{1}"], "--output is for one file"),
        (["{0}", "--output-dir", "{1}", "--device", "1"], "--device is for the microphone only"),
        (["{0}", "--output-dir", "{1}", "--rate", "8000"], "--rate is for raw PCM"),
        (["{0}", "--output-dir", "{1}", "--drafts"], "--drafts is for --format jsonl only"),
        (["{0}", "--output-dir", "{1}", "--jobs", "0"], "--jobs 0: give 1 or more"),
        (["{0}", "--output-dir", "{1}", "-m", "nothing"], "nothing: no such model"),
        (["{0}", "--output-dir", "{1}", "--delay", "soon"], "choose low, normal, sure"),
        (["{0}", "--output-dir", "{1}", "--language", "de"], "transcribes English"),
        (["{0}", "--output-dir", "{0}/notes.txt/out"], "no such folder can be made"),
        (["{0}/tea.flac", "--jobs", "2"], "--jobs is for several files"),
        (["{0}/tea.flac", "--again"], "--again is for several files"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_captioned(folder, tmp_path, args, said):
    out = tmp_path / "out"
    done = run("listen", *(arg.format(folder, out) for arg in args), stdin=subprocess.DEVNULL)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert not out.exists() or not written(out)


def test_two_that_would_become_one_file_are_refused(folder, tmp_path):
    shutil.copy(folder / "tea.flac", folder / "may" / "TEA.flac")
    out = tmp_path / "out"
    both = [folder / "tea.flac", folder / "may" / "TEA.flac"]
    done = run("listen", *both, *SYNTHETIC, "--output-dir", out)
    assert done.returncode == 2
    assert "the captions of both would be" in done.stderr
    assert "each with an --output-dir of its own" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not out.exists()


def test_two_of_one_folder_whose_names_differ_in_case_are_to_be_renamed(folder, tmp_path):
    shutil.copy(folder / "tea.flac", folder / "TEA.flac")
    done = run("listen", folder, *SYNTHETIC, "--output-dir", tmp_path / "out")
    assert done.returncode == 2
    assert f"{folder / 'TEA.flac'} and {folder / 'tea.flac'}: the captions" in done.stderr
    assert done.stderr.endswith("; rename one of the two\n")


def test_no_recording_is_written_over(folder):
    shutil.copy(folder / "tea.flac", folder / "tea.txt")
    before = written(folder)
    done = run("listen", folder / "tea.flac", folder / "tea.txt", "--output-dir", folder)
    assert done.returncode == 2
    assert "tea.txt: is an input as well" in done.stderr
    assert written(folder) == before


def test_a_name_as_long_as_can_be_and_an_odd_one(folder, tmp_path):
    names = ["a" * 251, "\x1b[31m\udcff", "2.5 metres.v1"]
    for name in names:
        shutil.copy(folder / "tea.flac", os.fsencode(folder / "may") + b"/" + os.fsencode(name))
    sources = [str(folder / "may" / name) for name in names]
    done = run("listen", *sources, *SYNTHETIC, "--output-dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert set(written(tmp_path / "out")) == {f"{name}.txt" for name in names}
    assert "\x1b" not in done.stderr


def test_after_a_kill_the_same_command_goes_on(folder, long, tmp_path):
    out = tmp_path / "out"
    command = ["listen", long, folder, *SYNTHETIC, "--format", "srt", "--output-dir", out]
    process = start(*command, "--jobs", "1")
    _, worker = half_written(out, process)
    process.kill()
    process.communicate()
    deadline_s = time.monotonic() + 60
    while psutil.pid_exists(worker) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not psutil.pid_exists(worker)
    assert written(out).keys().isdisjoint({"long.srt"})
    (out / f".edgestream-{NO_PROCESS}-0.part").write_text("half of it")
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert set(written(out)) == {"long.srt", "tea.srt", "milk.srt", "may/door.srt"}
    one = alone(long, tmp_path / "one.srt", *SYNTHETIC)
    assert (out / "long.srt").read_bytes() == one


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_stops_all_and_says_how_to_go_on(folder, long, tmp_path, number):
    out = tmp_path / "out"
    process = start("listen", folder, long, *SYNTHETIC, "--output-dir", out)
    half_written(out, process)
    group = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert "the same command goes on" in stderr
    assert "0 failed" in stderr
    assert "Traceback" not in stderr
    psutil.wait_procs(group, timeout=60)
    assert not any(each.is_running() for each in group)
    assert "long.txt" not in written(out)
    assert not list(out.glob(".*"))


def test_a_process_that_is_killed_costs_its_file_only(folder, long, tmp_path):
    out = tmp_path / "out"
    process = start("listen", folder, long, *SYNTHETIC, "--output-dir", out, "--jobs", "1")
    _, worker = half_written(out, process)
    os.kill(worker, signal.SIGKILL)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert re.search(
        r"failed: .*long.wav: the process was ended by SIGKILL; .*fewer --jobs", stderr
    )
    assert "3 captioned, 0 there already, 1 failed" in stderr
    assert set(written(out)) == {"tea.txt", "milk.txt", "may/door.txt"}


def test_what_a_full_disk_left_is_captioned_again(folder, tmp_path):
    out = tmp_path / "out"
    command = ["listen", folder, *SYNTHETIC, "--format", "jsonl", "--output-dir", out]

    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

    done = run(*command, preexec_fn=little_room)
    assert done.returncode == 1
    assert len(re.findall(r"failed: .*: captions cannot be written: File too large", done.stderr))
    assert "part" not in done.stderr
    assert written(out) == {}
    assert run(*command).returncode == 0
    assert len(written(out)) == 3


def test_a_terminal_sees_a_bar_and_a_line_for_each_file(folder, long, tmp_path):
    code, shown = on_a_terminal(
        "listen", folder, long, *SYNTHETIC, "--output-dir", tmp_path / "out"
    )
    assert code == 0
    assert "\x1b[" in shown
    assert re.search(r"0:0\d:\d\d/0:08:2\d, [\d.]+x, 0:\d\d:\d\d left", shown)
    assert "4 captioned, 0 there already, 0 failed" in shown


def test_a_closed_stderr_is_nobody_to_tell(folder, tmp_path):
    out = tmp_path / "out"
    done = run("listen", folder, *SYNTHETIC, "--output-dir", out, preexec_fn=lambda: os.close(2))
    assert (done.returncode, done.stdout) == (0, "")
    assert len(written(out)) == 3
