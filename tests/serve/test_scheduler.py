# SPDX-License-Identifier: Apache-2.0
"""Who computes next: what waited longest, live before recordings, no session twice at once."""

from __future__ import annotations

import random
import threading
import time

import pytest

from edgestream.serve.scheduler import Scheduler

PATIENCE_S = 60.0


class Job:
    """Has so many steps to do; step n of it has waited since `since_s + n`."""

    def __init__(self, order, name, n_steps, *, since_s=0.0, live=True):
        self.order, self.name, self.live = order, name, live
        self.left, self.since_s = n_steps, since_s
        self.inside = threading.Lock()
        self.done = threading.Event()

    def step(self):
        assert self.inside.acquire(blocking=False), "two threads are in one session"
        self.order.append(self.name)
        self.left -= 1
        self.since_s += 1
        self.inside.release()
        if self.left == 0:
            self.done.set()
            return None
        return self.since_s


class Blocker:
    """Holds a thread until it is let go."""

    live = True

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def step(self):
        self.begun.set()
        assert self.go.wait(PATIENCE_S)


@pytest.fixture
def one_thread():
    """A scheduler whose only thread is held, so that what is put there waits; lets go of it."""
    scheduler, blocker = Scheduler(1), Blocker()
    scheduler.put(blocker, 0.0)
    assert blocker.begun.wait(PATIENCE_S)
    yield scheduler, blocker.go
    blocker.go.set()
    scheduler.close()


def run(one_thread, *jobs):
    scheduler, go = one_thread
    for job in jobs:
        scheduler.put(job, job.since_s)
    go.set()
    for job in jobs:
        assert job.done.wait(PATIENCE_S)
    return jobs[0].order


def test_what_waited_longest_is_next(one_thread):
    order = []
    late, early = Job(order, "late", 2, since_s=10.0), Job(order, "early", 2, since_s=5.0)
    assert run(one_thread, late, early) == ["early", "early", "late", "late"]


def test_who_has_much_to_do_takes_turns_with_the_others(one_thread):
    order = []
    jobs = [Job(order, name, 3) for name in "abc"]
    assert run(one_thread, *jobs) == list("abcabcabc")


def test_live_sessions_go_before_recordings_that_waited_longer(one_thread):
    order = []
    recording = Job(order, "recording", 2, since_s=0.0, live=False)
    live = Job(order, "live", 2, since_s=100.0)
    assert run(one_thread, recording, live) == ["live", "live", "recording", "recording"]


def test_many_threads_do_each_step_once_and_one_of_a_session_at_a_time():
    scheduler, order, dice = Scheduler(4), [], random.Random(1)
    jobs = [Job(order, n, dice.randint(1, 50), live=n % 2 == 0) for n in range(40)]
    wanted = {job.name: job.left for job in jobs}
    for job in jobs:
        scheduler.put(job, 0.0)
    for job in jobs:
        assert job.done.wait(PATIENCE_S)
    scheduler.close()
    assert {name: order.count(name) for name in wanted} == wanted


def test_close_drops_what_waits_and_ends_the_threads(one_thread):
    scheduler, go = one_thread
    job = Job([], "waits", 1)
    scheduler.put(job, 0.0)
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    while scheduler._open:
        time.sleep(0.001)
    go.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert job.left == 1
