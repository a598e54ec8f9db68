"""Other people's clients speak to `vivavoce serve`; what they are told is checked against their own models.
The words must be those of `vivavoce transcribe`, the same on every way."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import threading
import time
import wave
from array import array

import openai
import pytest
import websockets
from conftest import CLIP, ROOT, samples, started, transcribed
from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types.listen_v1metadata import ListenV1Metadata
from deepgram.listen.v1.types.listen_v1results import ListenV1Results
from deepgram.listen.v1.types.listen_v1speech_started import ListenV1SpeechStarted
from deepgram.listen.v1.types.listen_v1utterance_end import ListenV1UtteranceEnd
from deepgram.types.listen_v1response import ListenV1Response
from openai.types.audio import Transcription, TranscriptionStreamEvent, TranscriptionVerbose
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from wyoming.asr import Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

CHUNK = 3200


def pcm():
    return samples(CLIP)


def pieces(size=CHUNK):
    sound = pcm()
    return [sound[at : at + size] for at in range(0, len(sound), size)]


async def lockstep(server, sound, size, config=None, path="", eof='{"eof" : 1}', **options):
    """Sends, then waits for the answer, as the samples of Vosk do; gives all answers."""
    said = []
    async with websockets.connect(f"ws://{server['address']}{path}", **options) as socket:
        if config is not None:
            await socket.send(config)
        for at in range(0, len(sound), size):
            await socket.send(sound[at : at + size])
            said.append(json.loads(await socket.recv()))
            # FreeSWITCH takes whatever has no partial for a result, and any "" for an empty one.
            assert ("partial" in said[-1]) != ("text" in said[-1] or "alternatives" in said[-1])
        await socket.send(eof)
        said.append(json.loads(await socket.recv()))
        with pytest.raises(websockets.ConnectionClosedOK):
            await socket.recv()
    return said


def text(said):
    return " ".join(answer["text"] for answer in said if answer.get("text"))


CONFIG = '{ "config" : { "sample_rate" : 16000 } }'
TELEPHONE = ROOT / "audio-samples/kitchen-int16-8000-mono.wav"
# What each client of Vosk does that others do not: audio, bytes a message, and what else.
HABITS = {
    "test.py, test_microphone.py": (CLIP, 8000, {"config": CONFIG}),
    "the C++ client, eof in bytes": (CLIP, 8000, {"config": CONFIG, "eof": b'{"eof" : 1}'}),
    "Asterisk": (TELEPHONE, 3200, {"subprotocols": ["ws"], "compression": None}),
    "jigasi": (CLIP, 4800, {"config": '{"config":{"sample_rate":16000.0,"words":1}}', "path": "/asr/en/"}),
    "jigasi, a whole recording": (CLIP, 1 << 24, {"config": '{"config":{"sample_rate":16000.000000}}'}),
    "vosk-transcriber": (CLIP, 4000, {"config": '{"config" : {"sample_rate" : 16000, "words" : true}}'}),
    "a model that is not there": (CLIP, 4000, {"config": '{"config":{"model":"x","sample_rate":16000}}'}),
}


@pytest.mark.parametrize("habit", HABITS)
def test_vosk_clients(server, habit):
    path, size, options = HABITS[habit]
    said = asyncio.run(lockstep(server, samples(path), size, **options))
    assert text(said) == transcribed(path)
    results = [answer for answer in said if answer.get("text")]
    words = [word for answer in results for word in answer["result"]]
    assert [word["word"] for word in words] == text(said).split()
    for word in words:
        assert set(word) == {"conf", "end", "start", "word"} and word["start"] < word["end"]
    assert all("result" not in answer for answer in said if not answer.get("text"))


@pytest.mark.parametrize("path", [CLIP, TELEPHONE], ids=lambda path: path.stem)
def test_vosk_files_with_their_header(server, path):
    # As node's test.js, asr-test.php and test.cs send them.
    assert text(asyncio.run(lockstep(server, path.read_bytes(), 8000))) == transcribed(path)


def test_vosk_browser_that_closes_behind_eof(server, words):
    async def talk():
        async with websockets.connect(f"ws://{server['address']}") as socket:
            await socket.send(CONFIG)
            for piece in pieces(8000):
                await socket.send(piece)
            await socket.send('{"eof" : 1}')
            closing = asyncio.ensure_future(socket.close())
            said = [json.loads(message) async for message in socket]
            await closing
            return said

    said = asyncio.run(talk())
    assert len(said) == len(pieces(8000)) + 1 and text(said) == words


def test_vosk_freeswitch_that_goes_without_a_word(server, words):
    async def talk():
        socket = await websockets.connect(f"ws://{server['address']}", compression=None)
        await socket.send(bytes(3200))
        await socket.recv()
        socket.transport.abort()

    for _ in range(5):
        asyncio.run(talk())
    ready = f"http://{server['address']}/ready"
    for _ in range(100):
        answer = subprocess.run(["curl", "-s", ready], capture_output=True, check=True).stdout
        if json.loads(answer)["streams"] == 0:
            return
        time.sleep(0.1)
    raise AssertionError("a stream stays")


def test_vosk_phrases_and_readings(server):
    config = {"sample_rate": 16000, "max_alternatives": 3, "phrase_list": ["before the storm", "[unk]"]}
    said = asyncio.run(lockstep(server, pcm(), 8000, json.dumps({"config": config})))
    readings = [answer["alternatives"] for answer in said if "alternatives" in answer]
    assert readings and all({"confidence", "text"} <= set(reading) for all in readings for reading in all)


@pytest.mark.skipif(not os.environ.get("NODE_CLIENTS"), reason="npm's ws is not installed")
def test_npm_ws(server, words):
    script = ROOT / "tests/clients/vosk_ws.cjs"
    environment = os.environ | {"NODE_PATH": os.environ["NODE_CLIENTS"]}
    command = [shutil.which("node"), str(script), f"ws://{server['address']}", str(CLIP)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert text(json.loads(ran.stdout)) == words


def test_a_server_that_stops_sends_openai_clients_away_to_come_again(words):
    process, found = started()

    async def talk():
        async with websockets.connect(f"ws://{found['address']}/v1/realtime") as socket:
            layout = {"format": {"type": "audio/pcm", "rate": 16000}, "turn_detection": None}
            session = {"type": "transcription", "audio": {"input": layout}}
            await socket.send(json.dumps({"type": "session.update", "session": session}))
            audio = base64.b64encode(pcm()).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            said = [json.loads(await socket.recv())]
            while not said[-1]["type"].endswith("delta"):
                said.append(json.loads(await socket.recv()))
            process.terminate()
            try:
                while True:
                    said.append(json.loads(await socket.recv()))
            except websockets.ConnectionClosed as closed:
                return said, closed.rcvd.code

    said, code = asyncio.run(talk())
    assert (code, process.wait(30)) == (1012, 0)
    assert said[-1]["type"].endswith("completed") and said[-1]["transcript"] == words


def client(server):
    return openai.OpenAI(base_url=f"http://{server['address']}/v1", api_key="x", max_retries=0)


def test_openai_rest(server, words):
    transcriptions = client(server).audio.transcriptions
    plain = transcriptions.create(model="whisper-1", file=CLIP)
    assert Transcription.model_validate(plain.model_dump()).text == words
    granularities = ["word", "segment"]
    verbose = transcriptions.create(
        model="whisper-1", file=CLIP, response_format="verbose_json", timestamp_granularities=granularities
    )
    verbose = TranscriptionVerbose.model_validate(verbose.model_dump(exclude_none=True))
    assert " ".join(word.word for word in verbose.words) == words
    assert " ".join(segment.text for segment in verbose.segments) == words
    assert transcriptions.create(model="m", file=CLIP, response_format="text").split() == words.split()
    assert "-->" in transcriptions.create(model="m", file=CLIP, response_format="srt")
    with pytest.raises(openai.BadRequestError, match="language"):
        transcriptions.create(model="m", file=CLIP, language="de")
    assert [model.id for model in client(server).models.list()] == ["en-small"]


def test_openai_stream(server, words):
    transcriptions = client(server).audio.transcriptions
    events = list(transcriptions.create(model="gpt-4o-transcribe", file=CLIP, stream=True))
    for event in events:
        TypeAdapter(TranscriptionStreamEvent).validate_python(event.model_dump(exclude_none=True))
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == words
    assert len(events) > 2


@pytest.fixture(scope="module")
def at_24_khz(tmp_path_factory):
    """Sound at the one rate that their models allow, and its words."""
    with wave.open(str(ROOT / "audio-samples/garden-int16-48000-mono.wav")) as clip:
        samples = array("h", clip.readframes(clip.getnframes()))
    half = array("h", (sum(pair) // 2 for pair in zip(samples[::2], samples[1::2])))
    path = tmp_path_factory.mktemp("sound") / "half.wav"
    with wave.open(str(path), "wb") as clip:
        clip.setnchannels(1), clip.setsampwidth(2), clip.setframerate(24_000)
        clip.writeframes(half.tobytes())
    return half.tobytes(), transcribed(path)


@pytest.mark.parametrize("detection", [None, {"type": "server_vad", "silence_duration_ms": 600}])
def test_openai_realtime(server, at_24_khz, detection):
    sound, words = at_24_khz
    events = []
    with client(server).realtime.connect(extra_query={"intent": "transcription"}) as connection:
        receive = lambda: events.append(json.loads(connection.recv_bytes()))
        receive()
        layout = {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": detection}
        connection.session.update(session={"type": "transcription", "audio": {"input": layout}})
        sound += bytes(0 if detection is None else 96_000)
        for at in range(0, len(sound), 4800):
            connection.input_audio_buffer.append(audio=base64.b64encode(sound[at : at + 4800]).decode())
        if detection is None:
            connection.input_audio_buffer.commit()
        while not events[-1]["type"].endswith(("completed", "error")):
            receive()
    for event in events:
        TypeAdapter(RealtimeServerEvent).validate_python(event)
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["session.created", "session.updated"]
    assert "input_audio_buffer.committed" in kinds
    assert ("input_audio_buffer.speech_started" in kinds) == (detection is not None)
    deltas = "".join(event["delta"] for event in events if event["type"].endswith("delta"))
    assert deltas == events[-1]["transcript"] == words


def test_deepgram_live(server, words):
    query = "model=nova-3&encoding=linear16&sample_rate=16000&interim_results=true&vad_events=true"

    async def talk():
        said = []
        async with websockets.connect(f"ws://{server['address']}/v1/listen?{query}") as socket:
            for piece in pieces():
                await socket.send(piece)
            await socket.send('{"type":"KeepAlive"}')
            await socket.send('{"type":"Finalize"}')
            await socket.send('{"type":"CloseStream"}')
            async for message in socket:
                said.append(json.loads(message))
        return said

    said = asyncio.run(talk())
    results = [message for message in said if message["type"] == "Results"]
    for message in results:
        ListenV1Results.model_validate(message)
    ListenV1Metadata.model_validate(said[-1])
    finals = [message for message in results if message["is_final"]]
    text = [message["channel"]["alternatives"][0]["transcript"] for message in finals]
    assert " ".join(filter(None, text)) == words
    assert any(message["from_finalize"] for message in finals)
    assert len(results) > len(finals)
    assert any(message["type"] == "SpeechStarted" for message in said)
    end = 0
    for message in finals:
        assert message["start"] == pytest.approx(end, abs=0.002)
        end = message["start"] + message["duration"]


@pytest.fixture(scope="module")
def deepgram(server):
    http, ws = f"http://{server['address']}", f"ws://{server['address']}"
    places = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return DeepgramClient(api_key="none", environment=places)


MODELS = {
    "Results": ListenV1Results,
    "Metadata": ListenV1Metadata,
    "SpeechStarted": ListenV1SpeechStarted,
    "UtteranceEnd": ListenV1UtteranceEnd,
}


def test_deepgram_sdk_live(deepgram, words):
    said = []
    query = {"model": "nova-3", "encoding": "linear16", "sample_rate": 16000, "interim_results": "true"}
    with deepgram.listen.v1.connect(**query, vad_events="true", utterance_end_ms=1000) as connection:
        opened = threading.Event()
        connection.on(EventType.OPEN, lambda _: opened.set())
        connection.on(EventType.MESSAGE, said.append)
        listening = threading.Thread(target=connection.start_listening)
        listening.start()
        assert opened.wait(10)
        for piece in pieces() + [bytes(CHUNK)] * 20:
            connection.send_media(piece)
        connection.send_keep_alive()
        connection.send_finalize()
        connection.send_close_stream()
        listening.join(60)
        assert not listening.is_alive()
    for message in said:
        MODELS[message.type].model_validate(message.model_dump())
    results = [message for message in said if message.type == "Results"]
    finals = [result.channel.alternatives[0].transcript for result in results if result.is_final]
    assert " ".join(filter(None, finals)) == words
    assert any(result.from_finalize for result in results)
    kinds = {message.type for message in said}
    assert kinds == set(MODELS) and said[-1].type == "Metadata"


def test_deepgram_sdk_file(deepgram, words):
    response = deepgram.listen.v1.media.transcribe_file(request=CLIP.read_bytes(), model="nova-3", utterances=True)
    assert isinstance(response, ListenV1Response)
    response = ListenV1Response.model_validate(response.model_dump())
    assert response.results.channels[0].alternatives[0].transcript == words
    assert " ".join(utterance.transcript for utterance in response.results.utterances) == words


def test_deepgram_file(server, words):
    command = ["curl", "-s", f"http://{server['address']}/v1/listen?utterances=true", "--data-binary", f"@{CLIP}"]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    response = ListenV1Response.model_validate(answer)
    assert response.results.channels[0].alternatives[0].transcript == words
    command[2] = f"http://{server['address']}/v1/listen?diarize=true"
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert "diarize" in answer["err_msg"] and set(answer) == {"err_code", "err_msg", "request_id"}


def test_wyoming(server, words):
    host, port = server["wyoming"].rsplit(":", 1)

    async def talk():
        async with AsyncTcpClient(host, int(port)) as home:
            await home.write_event(Describe().event())
            info = Info.from_event(await home.read_event())
            assert info.asr[0].installed and info.asr[0].models[0].languages == ["en"]
            layout = {"rate": 16000, "width": 2, "channels": 1}
            for _ in range(2):
                await home.write_event(AudioStart(**layout).event())
                for piece in pieces():
                    await home.write_event(AudioChunk(**layout, audio=piece).event())
                await home.write_event(AudioStop().event())
                parts = []
                while True:
                    event = await home.read_event()
                    if TranscriptChunk.is_type(event.type):
                        parts.append(TranscriptChunk.from_event(event).text)
                    if Transcript.is_type(event.type):
                        break
                assert "".join(parts) == Transcript.from_event(event).text == words
                assert (await home.read_event()).type == "transcript-stop"

    asyncio.run(talk())
