# SPDX-License-Identifier: Apache-2.0
"""Streams on a thread of their own: the same events, in order, bounded, and errors that surface."""

import asyncio
import itertools
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import edgestream as es
from edgestream.errors import OperationError, UsageError
from edgestream.speech import open_stream
from edgestream.speech.open_stream import ThreadedStream
from edgestream.speech.stream import Stream

DATA = Path(es.__file__).parent / "data"
RATE_HZ = 16000
KINDS = ("on_final", "on_draft", "on_gap", "on_lag")


@pytest.fixture(scope="module", params=["synthetic-en", "whisper-tiny.en"])
def model(request):
    return es.load(request.param)


@pytest.fixture(scope="module")
def quick():
    return es.load("synthetic-en")


@pytest.fixture(scope="module")
def speech():
    return soundfile.read(DATA / "sample.flac", dtype="float32")[0][: 8 * RATE_HZ]


@pytest.fixture(scope="module")
def whole(quick, speech):
    """What the quick model says of it."""
    return pushed(quick.stream(), speech)


def pushed(stream, samples):
    return stream.push(samples) + stream.finish()


def blocks(samples, n=1600):
    return np.split(samples, range(n, len(samples), n))


def until(true):
    """Waits until it is; the limit is for what would never be."""
    for _ in range(6000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("waited a minute in vain")


def push_on(stream, samples):
    while True:
        stream.push(samples)


class Hold:
    """Holds the thread that computes, before each piece, until it is let go."""

    def __init__(self, monkeypatch):
        self.begun, self.go_on = threading.Event(), threading.Event()
        take = Stream.take

        def held(stream, block):
            self.begun.set()
            assert self.go_on.wait(60)
            return take(stream, block)

        monkeypatch.setattr(Stream, "take", held)


@pytest.fixture
def hold(monkeypatch):
    holding = Hold(monkeypatch)
    yield holding
    holding.go_on.set()


# The same events


def test_callbacks_get_the_events_of_a_plain_stream_in_order(model, speech):
    got = []
    with model.open_stream(**dict.fromkeys(KINDS, got.append)) as stream:
        for block in blocks(speech):
            stream.push(block)
    assert got == pushed(model.stream(), speech)


def test_iteration_gives_the_events_of_a_plain_stream(model, speech):
    with model.open_stream() as stream:
        stream.push(speech)
    assert list(stream) == pushed(model.stream(), speech)


def test_tasks_push_and_iterate(model, speech):
    async def main():
        async with model.open_stream() as stream:
            reader = asyncio.create_task(collect(stream))
            for block in blocks(speech):
                await stream.push(block)
        return await reader

    assert asyncio.run(main()) == pushed(model.stream(), speech)


async def collect(stream):
    return [event async for event in stream]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 8 * RATE_HZ), max_size=8))
def test_any_cutting_gives_the_same_events(quick, speech, whole, cuts):
    with quick.open_stream() as stream:
        for part in np.split(speech, sorted(cuts)):
            stream.push(part)
    assert list(stream) == whole


def test_lost_samples_rates_and_options_are_those_of_a_plain_stream(quick, speech):
    plain = quick.stream(delay="low", rate_hz=48000)
    more = {"lost_samples": 48000, "reason": "network", "rate_hz": RATE_HZ}
    expected = plain.push(speech) + plain.push(speech, **more) + plain.finish()
    gaps = []
    with quick.open_stream(delay="low", rate_hz=48000) as stream:
        stream.push(speech)
        stream.push(speech, **more)
    assert list(stream) == expected
    with quick.open_stream(delay="low", rate_hz=48000, on_gap=gaps.append) as stream:
        stream.push(speech)
        stream.push(speech, **more)
    assert gaps == [event for event in expected if isinstance(event, es.Gap)]
    assert [gap.reason for gap in gaps] == ["network"]


def test_a_buffer_may_be_used_again_once_it_is_pushed(quick, speech, whole):
    buffer = np.empty(1600, np.float32)
    with quick.open_stream() as stream:
        for block in blocks(speech):
            buffer[:] = block
            stream.push(buffer)
            buffer[:] = np.nan
    assert list(stream) == whole


# What is promised of callbacks


def test_a_line_is_told_in_order_and_closed_by_one_final(model, speech):
    told = []
    with model.open_stream(on_final=told.append, on_draft=told.append) as stream:
        stream.push(speech)
        stream.push(speech, lost_samples=60 * RATE_HZ, reason="network")
    finals = [event for event in told if isinstance(event, es.Final)]
    assert len(finals) == len(set(finals)) >= 4
    for earlier, later in itertools.pairwise(finals):
        assert earlier.end_ms <= later.start_ms
    over_ms = 0.0
    for event in told:  # a draft is never about a line that is final
        assert event.start_ms >= over_ms
        over_ms = event.end_ms if isinstance(event, es.Final) else over_ms
    assert isinstance(told[-1], es.Final)


def test_events_never_change(quick, whole):
    with pytest.raises(AttributeError):
        next(event for event in whole if isinstance(event, es.Final)).text = "other"


def test_callbacks_come_one_at_a_time_on_one_thread_that_is_not_ours(quick, speech):
    threads, inside = set(), []

    def told(_):
        inside.append(1)
        assert len(inside) == 1
        threads.add(threading.get_ident())
        inside.pop()

    with quick.open_stream(on_final=told, on_draft=told) as stream:
        pushers = [threading.Thread(target=stream.push, args=(speech,)) for _ in range(3)]
        for pusher in pushers:
            pusher.start()
        for pusher in pushers:
            pusher.join()
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_a_thread_pushes_stays_together(quick, speech, whole):
    twice = pushed(quick.stream(), np.concatenate([speech, speech]))
    with quick.open_stream() as stream:
        pushers = [threading.Thread(target=stream.push, args=(speech,)) for _ in range(2)]
        for pusher in pushers:
            pusher.start()
        for pusher in pushers:
            pusher.join()
    assert list(stream) == twice != whole


def fails(_):
    raise KeyError("mine")


def test_an_error_in_a_callback_ends_the_stream_and_is_raised_where_the_program_waits(
    quick, speech, capfd
):
    for push in (ThreadedStream.push, push_on):  # raised at the end of the block, or by a push
        told = []
        with (
            pytest.raises(KeyError, match="mine") as caught,
            quick.open_stream(on_final=fails, on_draft=told.append) as stream,
        ):
            push(stream, speech)
        assert any("fails" in str(entry) for entry in caught.traceback)
        n_told = len(told)
        with pytest.raises(KeyError, match="mine"):
            stream.push(speech)
        assert len(told) == n_told
    assert capfd.readouterr().err == ""


def test_on_error_gets_it_instead_and_what_is_pushed_after_it_is_dropped(quick, speech):
    errors, told = [], []
    with quick.open_stream(on_final=fails, on_draft=told.append, on_error=errors.append) as stream:
        while not errors:
            stream.push(speech)
        n_told = len(told)
        stream.push(speech)
        stream.finish()
    assert [type(error) for error in errors] == [KeyError]
    assert len(told) == n_told


def test_an_on_error_that_fails_is_raised_itself(quick, speech):
    def again(error):
        raise ValueError("in on_error") from error

    with (
        pytest.raises(ValueError, match="in on_error"),
        quick.open_stream(on_final=fails, on_error=again) as stream,
    ):
        stream.push(speech)


def test_a_callback_that_pushes_is_refused(quick, speech):
    with (
        pytest.raises(UsageError, match="own callback"),
        quick.open_stream(on_final=lambda _: stream.push(speech)) as stream,
    ):
        stream.push(speech)


def test_a_callback_that_leaves_ends_the_stream_and_is_refused(quick, speech):
    errors = []
    opened = quick.open_stream(
        on_final=lambda _: opened.__exit__(None, None, None), on_error=errors.append
    )
    stream = opened.__enter__()
    stream.push(speech)
    stream.finish()
    until(lambda: errors)
    with pytest.raises(UsageError, match="left in its own callback"):
        raise errors[0]
    opened.__exit__(None, None, None)
    assert stream.waiting_ms == 0


def test_callbacks_that_cannot_be_called_are_refused(quick):
    async def told(_):
        pass

    with pytest.raises(UsageError, match="on_draft: 5 cannot be called"):
        quick.open_stream(on_draft=5)
    with pytest.raises(UsageError, match="on_final: is async"):
        quick.open_stream(on_final=told)


# A failure while it computes


def break_after(n, monkeypatch):
    """The stages fail at their n-th piece."""
    count = itertools.count(1)

    def take(stream, block):
        if next(count) == n:
            raise OperationError("the device is gone")
        return []

    monkeypatch.setattr(Stream, "take", take)


def test_a_failure_surfaces_in_each_place_that_waits(quick, speech, monkeypatch):
    break_after(2, monkeypatch)
    with pytest.raises(OperationError, match="gone"), quick.open_stream() as stream:
        stream.push(speech)
    for call in (lambda: stream.push(speech), lambda: list(stream), stream.finish):
        with pytest.raises(OperationError, match="gone"):
            call()


def test_a_failure_surfaces_in_the_tasks_that_wait(quick, speech, monkeypatch):
    break_after(2, monkeypatch)

    async def push_all(stream):
        while True:
            await stream.push(speech)

    async def main():
        async with quick.open_stream() as stream:
            reader = asyncio.create_task(collect(stream))
            with pytest.raises(OperationError, match="gone"):
                await push_all(stream)
            with pytest.raises(OperationError, match="gone"):
                await reader
            await stream.push(speech)

    with pytest.raises(OperationError, match="gone"):
        asyncio.run(main())


def test_wrong_samples_are_refused_where_they_are_pushed_and_end_nothing(quick, speech, whole):
    with quick.open_stream() as stream:
        for wrong in (np.zeros(10, np.int16), np.zeros((2, 5), np.float32)):
            with pytest.raises(UsageError):
                stream.push(wrong)
        with pytest.raises(UsageError, match="rate"):
            stream.push(speech, rate_hz=5)
        stream.push(speech)
    assert list(stream) == whole


# How much waits


def test_a_push_waits_for_room_and_no_more_than_the_bound_waits(quick, hold):
    second = np.zeros(RATE_HZ, np.float32)
    with quick.open_stream() as stream:
        pusher = threading.Thread(target=stream.push, args=(np.tile(second, 30),))
        pusher.start()
        hold.begun.wait(60)
        until(lambda: stream.waiting_ms >= open_stream.MAX_WAITING_MS)
        assert stream.waiting_ms == open_stream.MAX_WAITING_MS
        pusher.join(0.05)
        assert pusher.is_alive()
        hold.go_on.set()
        pusher.join(60)
        assert not pusher.is_alive()
    assert stream.waiting_ms == 0


def test_a_task_that_waits_for_room_leaves_the_loop_free(quick, hold):
    async def main():
        async with quick.open_stream() as stream:
            task = asyncio.create_task(stream.push(np.zeros(30 * RATE_HZ, np.float32)))
            while stream.waiting_ms < open_stream.MAX_WAITING_MS:
                await asyncio.sleep(0.001)
            for _ in range(100):  # goes on while the thread stands still
                await asyncio.sleep(0)
            assert not task.done()
            hold.go_on.set()
            await task

    asyncio.run(main())


def test_events_that_nobody_reads_are_told(quick, speech, monkeypatch):
    monkeypatch.setattr(open_stream, "MAX_UNREAD", 3)
    with pytest.raises(UsageError, match="3 events were not read"), quick.open_stream() as stream:
        push_on(stream, speech)


def test_a_slow_machine_reads_what_waits_first_where_that_is_asked(speech, hold):
    model, lags = es.load("whisper-tiny.en"), []
    with model.open_stream(keep_up=True, on_lag=lags.append) as stream:
        for block in blocks(speech, RATE_HZ):
            stream.push(block)
        hold.go_on.set()
    assert lags
    assert all(isinstance(lag, es.Lag) for lag in lags)


# Ends


def test_leaving_by_an_error_drops_what_waits_and_tells_no_more(quick, speech, hold):
    told = []

    def use(stream):
        stream.push(speech)
        hold.begun.wait(60)
        threading.Thread(target=let_go, args=(stream,)).start()
        raise ZeroDivisionError

    def let_go(stream):
        until(lambda: not stream.waiting_ms)  # it was dropped, and leaving waits for the piece
        hold.go_on.set()

    with pytest.raises(ZeroDivisionError), quick.open_stream(on_final=told.append) as stream:
        use(stream)
    assert told == []
    with pytest.raises(UsageError, match="already finished"):
        stream.push(speech)


def test_finish_waits_for_nothing_and_iteration_goes_on_to_the_end(quick, speech, whole):
    with quick.open_stream() as stream:
        stream.push(speech)
        stream.finish()
        stream.finish()
        with pytest.raises(UsageError, match="already finished"):
            stream.push(speech)
        assert list(stream) == whole
        assert list(stream) == []


def test_a_loop_left_by_break_goes_on_where_it_was(quick, speech, whole):
    with quick.open_stream() as stream:
        stream.push(speech)
    first = next(iter(stream))
    assert [first, *stream] == whole


def test_it_is_entered_once_and_read_in_one_way(quick):
    opened = quick.open_stream(on_final=print)
    with opened as stream, pytest.raises(UsageError, match="events go to callbacks"):
        list(stream)
    with pytest.raises(UsageError, match="entered already"), opened:
        pass


@pytest.mark.parametrize("where", ["push", "read", "leave"])
def test_a_cancelled_task_ends_there_and_the_stream_with_it(quick, speech, hold, where):
    async def use(stream, waits):
        async with stream as opened:
            waits.set()
            if where == "read":
                await collect(opened)
            while where == "push":
                await opened.push(speech)
            await opened.push(speech[:RATE_HZ])

    async def main():
        stream, waits = quick.open_stream(), asyncio.Event()
        task = asyncio.create_task(use(stream, waits))
        await waits.wait()
        while where != "read" and not hold.begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        hold.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stream.waiting_ms == 0

    asyncio.run(main())


def test_a_cancelled_push_is_taken_whole_or_not_at_all(quick, hold):
    second = np.zeros(RATE_HZ, np.float32)

    async def main():
        async with quick.open_stream() as stream:
            for _ in range(10):
                await stream.push(second)
            late = asyncio.create_task(stream.push(second))
            await asyncio.sleep(0.01)
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await late
            assert stream.waiting_ms == 10_000
            hold.go_on.set()

    asyncio.run(main())


def test_a_cancelled_reader_takes_no_event_along(quick, speech, whole, hold):
    async def main():
        async with quick.open_stream() as stream:
            reader = asyncio.create_task(collect(stream))
            await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait([reader])
            hold.go_on.set()
            await stream.push(speech)
            stream.finish()
            return await collect(stream)

    assert asyncio.run(main()) == whole


def test_a_closed_generator_around_it_lets_go(quick, speech, hold):
    hold.go_on.set()
    until(lambda: not computing_threads())  # of other tests

    def finals():
        with quick.open_stream() as stream:
            stream.push(speech)
            yield from (event for event in stream if isinstance(event, es.Final))

    lines = finals()
    next(lines)
    assert computing_threads() == 1
    lines.close()
    until(lambda: not computing_threads())


def computing_threads():
    return sum("edgestream-stream" in thread.name for thread in threading.enumerate())


def test_threads_end_with_streams_that_nobody_holds(quick, speech):
    held = [quick.open_stream().__enter__()]
    held[0].push(speech)
    until(lambda: not held[0].waiting_ms)
    held.clear()
    until(lambda: not computing_threads())
