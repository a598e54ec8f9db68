"""A stream says what the file says, however it is cut."""

import asyncio
import random
import threading
import wave

import numpy as np
import pytest
import vivavoce
from common import HARBOUR, KITCHEN, program


@pytest.fixture(scope="module")
def recognizer():
    return vivavoce.Recognizer()


def signal(path):
    with wave.open(str(path)) as clip:
        return np.frombuffer(clip.readframes(clip.getnframes()), np.int16), clip.getframerate()


def words(events):
    return [word for event in events if isinstance(event, vivavoce.Final) for word in event.words]


def test_streaming_equals_the_file_for_any_chunking(recognizer):
    samples, rate = signal(KITCHEN)
    expected = list(recognizer.transcribe(KITCHEN, endpoints=False).words)
    assert len(expected) > 3
    order = random.Random(7)
    for longest in (100, 5000, len(samples)):
        session = recognizer.session(rate, endpoints=False)
        events, begin = [], 0
        while begin < len(samples):
            end = begin + order.randint(1, longest)
            chunk = samples[begin:end]
            events += session.accept(chunk if order.random() < 0.5 else chunk.tobytes())
            begin = end
        events += session.finish()
        assert words(events) == expected


def test_partials_only_ever_add_to_what_is_confirmed(recognizer):
    samples, rate = signal(HARBOUR)
    session = recognizer.session(rate, latency="low")
    events = list(session.events(samples[i : i + 1600] for i in range(0, len(samples), 1600)))
    partials = [event for event in events if isinstance(event, vivavoce.Partial)]
    finals = [event for event in events if isinstance(event, vivavoce.Final)]
    assert len(partials) > 5 and finals
    confirmed, times = "", []
    for event in events:
        if isinstance(event, vivavoce.Partial):
            assert event.confirmed.startswith(confirmed)
            assert event.text == " ".join(filter(None, (event.confirmed, event.tentative)))
            confirmed = event.confirmed
        elif isinstance(event, vivavoce.Final):
            assert event.text.startswith(confirmed)
            confirmed = ""
        times.append(event.time)
    assert times == sorted(times)
    quiet = recognizer.session(rate, latency="low", partials=False)
    assert list(quiet.events([samples])) == [event for event in events if not isinstance(event, vivavoce.Partial)]


def test_a_session_begins_anew_and_ends_once(recognizer):
    samples, rate = signal(KITCHEN)
    session = recognizer.session(rate)
    first = session.accept(samples) + session.finish()
    assert session.finish() == []
    with pytest.raises(vivavoce.UsageError, match="reset"):
        session.accept(samples)
    session.reset()
    assert session.time == 0
    assert session.accept(samples) + session.finish() == first
    assert abs(session.time - len(samples) / rate) < 0.01
    assert str(rate) in repr(session)


def test_a_cut_lets_the_last_word_come_out(recognizer):
    samples, rate = signal(KITCHEN)
    session = recognizer.session(rate, endpoints=False)
    told = session.accept(samples) + session.cut()
    assert [word.word for word in words(told)] == recognizer.transcribe(KITCHEN).text.split()
    assert session.accept(samples) is not None


def test_a_bad_call_is_not_heard(recognizer):
    samples, rate = signal(KITCHEN)
    session = recognizer.session(rate, endpoints=False)
    events = session.accept(samples[:9000])
    with pytest.raises(vivavoce.SamplesError):
        session.accept(np.array([0.0, np.inf], np.float32))
    events += session.accept(samples[9000:]) + session.finish()
    assert words(events) == list(recognizer.transcribe(KITCHEN, endpoints=False).words)


def test_streams_in_threads_do_not_disturb_each_other(recognizer):
    clips = [KITCHEN, HARBOUR] * 3
    expected = [recognizer.transcribe(clip).text for clip in clips]
    found = [None] * len(clips)

    def hear(i):
        samples, rate = signal(clips[i])
        session = recognizer.session(rate, endpoints={"sleep": False})
        events = list(session.events(samples[i : i + 800] for i in range(0, len(samples), 800)))
        found[i] = " ".join(event.text for event in events if isinstance(event, vivavoce.Final))

    threads = [threading.Thread(target=hear, args=(i,)) for i in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_async_iterators_go_in_and_come_out(recognizer):
    samples, rate = signal(HARBOUR)

    async def chunks():
        for i in range(0, len(samples), 4000):
            await asyncio.sleep(0)
            yield samples[i : i + 4000]

    async def hear(given):
        return [event async for event in recognizer.session(rate).events_async(given)]

    expected = list(recognizer.session(rate).events(samples[i : i + 4000] for i in range(0, len(samples), 4000)))
    assert asyncio.run(hear(chunks())) == expected
    assert asyncio.run(hear([samples[i : i + 4000] for i in range(0, len(samples), 4000)])) == expected


def test_the_loop_runs_while_a_file_is_transcribed(recognizer):
    async def both():
        task = asyncio.ensure_future(recognizer.transcribe_async(HARBOUR))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns, task.result().text

    turns, text = asyncio.run(both())
    assert turns > 5
    assert text == program(HARBOUR)[str(HARBOUR)]["text"]
