# SPDX-License-Identifier: Apache-2.0
"""Commands of tools: real ones, which answer, hang, shout, leave others behind."""

import json
import os
import subprocess
import sys
import threading

import pytest

from edgestream.errors import UsageError
from edgestream.reader.tool import Call, Tool
from edgestream.reader.tool_run import MAX_OUTPUT, MAX_RUNNING, ToolRunner

WAIT_S = 60.0  # far beyond what any of it takes
ENDLESS = "import time\nwhile True: time.sleep(1)"
# Leaves a process behind that holds the pipes, and says its number.
LEAVES_ONE = (
    "import subprocess, sys\n"
    f"left = subprocess.Popen([sys.executable, '-c', {ENDLESS!r}])\n"
    "print(left.pid, flush=True)\n"
)


def call(code, timeout_s=WAIT_S, folder="", arguments=None):
    tool = Tool("test", "A test.", (sys.executable, "-c", code), timeout_s, folder, {})
    return Call(tool, {} if arguments is None else arguments)


@pytest.fixture
def runner():
    with ToolRunner() as runner:
        yield runner


def result(runner, *args, **options):
    return runner.start(call(*args, **options)).result(WAIT_S)


def is_alive(pid):
    """Whether it runs: one that has ended and was not waited for does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


def ended(pid):
    """Waits until it has, which the system does when it comes to it."""
    over = threading.Event()
    for _ in range(600):
        if not is_alive(pid):
            return True
        over.wait(0.1)
    return False


def test_arguments_come_as_json_on_stdin_and_nowhere_else(runner):
    arguments = {"city": "'; rm -rf $HOME #`date`\n\"é😀\ud800", "days": 2}
    code = "import sys; print(sys.argv[1:], sys.stdin.buffer.read().decode())"
    found = result(runner, code, arguments=arguments)
    assert found.problem == ""
    assert found.text.startswith("[] ")
    assert json.loads(found.text[3:]) == arguments


def test_little_of_the_environment_is_there(runner, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    found = result(runner, "import os, json; print(json.dumps(dict(os.environ)))")
    names = set(json.loads(found.text))
    assert names <= {"PATH", "HOME", "LANG", "LC_CTYPE"}  # the last is Python's own
    assert "PATH" in names


def test_it_runs_in_an_empty_folder_which_is_gone_afterwards(runner):
    code = "import os; open('x', 'w'); print(os.getcwd(), os.listdir())"
    folder, files = result(runner, code).text.split(" ", 1)
    assert files == "['x']"
    assert not os.path.exists(folder)


def test_it_runs_in_a_folder_that_is_given(runner, tmp_path):
    (tmp_path / "here").touch()
    assert result(runner, "import os; print(os.listdir())", folder=str(tmp_path)).text == "['here']"


def test_bytes_that_are_no_utf8_are_replaced(runner):
    found = result(runner, r"import sys; sys.stdout.buffer.write(b'a\xffb\r\n\n')")
    assert (found.text, found.problem) == ("a\ufffdb", "")


def test_as_much_as_is_kept_is_whole(runner):
    found = result(runner, f"print('x' * {MAX_OUTPUT - 1})")
    assert (len(found.text), found.problem) == (MAX_OUTPUT - 1, "")


def test_more_than_is_kept_ends_it(runner):
    found = result(runner, "while True: print('x' * 1000)")
    assert len(found.text) == MAX_OUTPUT
    assert found.problem == "said more than 64 kB"


def test_a_command_that_fails_says_why(runner):
    found = result(runner, "import sys; print('half'); sys.exit('no network')")
    assert (found.text, found.problem) == ("half", "exit code 1: no network")
    assert result(runner, "import sys; sys.exit(3)").problem == "exit code 3"


def test_a_command_that_does_not_end_is_ended(runner):
    found = result(runner, "print('begun', flush=True)\n" + ENDLESS, timeout_s=2)
    assert found.problem == "took longer than 2 s"
    assert found.text in ("begun", "")  # as far as it came


def test_what_a_command_leaves_behind_is_ended(runner):
    found = result(runner, LEAVES_ONE)
    assert found.problem == ""
    assert ended(int(found.text))


def test_reading_goes_on_and_close_ends_all(runner):
    running = runner.start(call("import os; print(os.getpid(), flush=True)\n" + ENDLESS))
    assert running.result(0) is None
    assert not running.done
    runner.close()
    assert running.done
    assert running.result().problem == "was stopped"
    if running.result().text:  # it may have been ended before it said anything
        assert ended(int(running.result().text))
    with pytest.raises(UsageError, match="the runner is closed"):
        runner.start(call("pass"))


def test_close_ends_what_a_command_started(tmp_path):
    code = LEAVES_ONE + "import os\nopen('part', 'w').write(str(left.pid))\n"
    code += "os.rename('part', 'pid')\n" + ENDLESS
    with ToolRunner() as runner:
        runner.start(call(code, folder=str(tmp_path)))
        waits = threading.Event()
        while not (tmp_path / "pid").exists():
            waits.wait(0.05)
    assert ended(int((tmp_path / "pid").read_text()))


def test_only_so_many_run_at_once(runner):
    calls = [runner.start(call(ENDLESS)) for _ in range(MAX_RUNNING)]
    with pytest.raises(UsageError, match="4 calls are running; wait for one of them"):
        runner.start(call("pass"))
    calls[0].stop()
    assert calls[0].result(WAIT_S).problem == "was stopped"
    assert runner.start(call("print(1)")).result(WAIT_S).text == "1"


def test_a_program_that_is_not_there_any_more(runner):
    tool = Tool("test", "A test.", ("/nowhere/at-all",), 5.0, "", {})
    assert runner.start(Call(tool, {})).result(WAIT_S).problem.startswith("cannot be run: No such")


@pytest.mark.parametrize("last", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"])
def test_commands_end_with_the_program(last, tmp_path):
    code = (
        "import sys, time\n"
        "from edgestream.reader.tool import Call, Tool\n"
        "from edgestream.reader.tool_run import ToolRunner\n"
        'said = \'import os; open("pid.part", "w").write(str(os.getpid()));'
        ' os.rename("pid.part", "pid")\'\n'
        f"words = (sys.executable, '-c', said + '\\n' + {ENDLESS!r})\n"
        "runner = ToolRunner()\n"
        f"runner.start(Call(Tool('t', 'T', words, 60.0, {str(tmp_path)!r}, {{}}), {{}}))\n"
        "import pathlib\n"
        f"while not pathlib.Path({str(tmp_path)!r}, 'pid').exists(): time.sleep(0.05)\n"
    )
    subprocess.run([sys.executable, "-c", code + last], check=not last, timeout=WAIT_S)
    assert ended(int((tmp_path / "pid").read_text()))
