"""Many files, many processes, and what breaks them off."""

import asyncio
import concurrent.futures
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import vivavoce
from common import CLIPS, HARBOUR, KITCHEN, STORY, program, same


@pytest.fixture(scope="module")
def recognizer():
    return vivavoce.Recognizer()


def short():
    return sorted(path for path in CLIPS.glob("*.wav") if "story" not in path.name and "window" not in path.name)


def test_many_files_say_what_the_program_says(recognizer, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    paths = [*short(), broken, tmp_path / "gone.wav"]
    documents = program(*short())
    told = []
    outcomes = list(recognizer.transcribe_many(paths, jobs=2, progress=told.append))
    assert sorted(outcome.index for outcome in outcomes) == list(range(len(paths)))
    for outcome in outcomes:
        assert outcome.path == str(paths[outcome.index])
        if outcome.path in documents:
            same(outcome.get(), documents[outcome.path])
        else:
            assert os.path.basename(outcome.path) in str(outcome.error)
            with pytest.raises(vivavoce.Error):
                outcome.get()
    assert [progress.done for progress in told] == list(range(1, len(paths) + 1))
    assert (told[-1].failed, told[-1].total) == (2, len(paths))
    assert told[-1].audio == pytest.approx(sum(document["duration"] for document in documents.values()), abs=0.1)


def test_outcomes_come_in_order_if_that_is_asked(recognizer):
    samples = np.zeros(16000, np.float32)
    items = [STORY, KITCHEN, (samples, 16000), KITCHEN.read_bytes(), HARBOUR, 7]
    outcomes = list(recognizer.transcribe_many(iter(items), jobs=2, ordered=True))
    assert [outcome.index for outcome in outcomes] == list(range(len(items)))
    assert outcomes[1].text == outcomes[3].text != ""
    assert outcomes[2].text == "" and outcomes[2].error is None
    assert isinstance(outcomes[5].error, TypeError)
    with pytest.raises(TypeError):
        recognizer.transcribe_many("one.wav")
    with pytest.raises(ValueError):
        recognizer.transcribe_many([], jobs=0)
    assert list(recognizer.transcribe_many([])) == []


def test_items_are_taken_no_faster_than_they_are_done(recognizer):
    taken = []

    def endless():
        while True:
            taken.append(KITCHEN)
            yield KITCHEN

    outcomes = recognizer.transcribe_many(endless(), jobs=2)
    first = [next(outcomes).text for _ in range(3)]
    outcomes.close()
    assert len(set(first)) == 1 and first[0]
    assert len(taken) < 12


def test_closing_breaks_off_what_is_in_work(recognizer):
    outcomes = recognizer.transcribe_many([KITCHEN, STORY, STORY, STORY], jobs=2, beam=512)
    next(outcomes)
    start = time.monotonic()
    outcomes.close()
    assert time.monotonic() - start < 2


def test_many_for_async(recognizer):
    async def all_of_them():
        return [outcome async for outcome in recognizer.transcribe_many_async([KITCHEN, HARBOUR], ordered=True)]

    outcomes = asyncio.run(all_of_them())
    assert [outcome.text for outcome in outcomes] == [recognizer.transcribe(path).text for path in (KITCHEN, HARBOUR)]


def test_cancelling_a_task_stops_the_work(recognizer):
    async def cancelled():
        task = asyncio.ensure_future(recognizer.transcribe_async(STORY, beam=512))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    start = time.monotonic()
    asyncio.run(cancelled())
    # The loop waits for its threads when it ends.
    assert time.monotonic() - start < 3


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("call", ["r.transcribe(p, beam=512)", "list(r.transcribe_many([p] * 9, beam=512))", "r.session().accept(s)"])
def test_ctrl_c_ends_a_long_call(call):
    # An hour of sound, of which a fast machine hears ten minutes in less than a second, as noise is quickly searched.
    setup = f"import vivavoce, numpy; p = {str(STORY)!r}; s = numpy.tile(numpy.random.default_rng(1).normal(0, 0.1, 960_000).clip(-1, 1).astype(numpy.float32), 60)"
    code = f"{setup}; r = vivavoce.Recognizer(); print('ready', flush=True); {call}; print('done')"
    # Whoever runs the tests in the background of a shell has them ignore it.
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - start < 3
    assert "KeyboardInterrupt" in err and "done" not in out


def test_recognizers_can_be_pickled_and_share_their_model(recognizer, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("kowalczyk\n")
    first = vivavoce.Recognizer(hotwords=names, latency="low")
    names.unlink()
    again = pickle.loads(pickle.dumps(first))
    assert again == first != recognizer
    assert again._native.shares_memory_with(recognizer._native)
    assert again.transcribe(KITCHEN) == first.transcribe(KITCHEN)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(first.session())
    transcript = first.transcribe(KITCHEN)
    assert pickle.loads(pickle.dumps(transcript)) == transcript


def heard(given):
    recognizer, path = given
    return recognizer.transcribe(path).text


@pytest.mark.parametrize("method", [m for m in multiprocessing.get_all_start_methods() if m != "forkserver"])
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_processes_recognise(recognizer, method):
    expected = [recognizer.transcribe(path).text for path in (KITCHEN, HARBOUR)]
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(heard, [(recognizer, KITCHEN), (recognizer, HARBOUR)])) == expected


def test_progress_is_a_line_on_stderr(recognizer, capfd):
    list(recognizer.transcribe_many([KITCHEN, "gone.wav"], progress=True))
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("2 of 2, 1 failed, ") and err.count("\n") == 1


def test_threads_share_the_cores(recognizer):
    # The lock of the interpreter is free while a file is transcribed: this thread goes on.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(recognizer.transcribe, STORY, beam=512)
        turns, latest, longest = 0, time.monotonic(), 0.0
        while not future.done():
            now = time.monotonic()
            longest = max(longest, now - latest)
            latest, turns = now, turns + 1
        assert future.result().text
    assert turns > 1000
    assert longest < 0.5
