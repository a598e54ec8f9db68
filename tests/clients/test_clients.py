"""Other people's clients speak to `vivavoce serve`; what they are told is checked against their own models.

VIVAVOCE names the program (default: target/debug/vivavoce). The words must be those of `vivavoce transcribe`, the same on every way."""

import asyncio
import base64
import json
import os
import subprocess
import wave
from array import array
from pathlib import Path

import openai
import pytest
import websockets
from deepgram.listen.v1.types.listen_v1metadata import ListenV1Metadata
from deepgram.listen.v1.types.listen_v1results import ListenV1Results
from deepgram.types.listen_v1response import ListenV1Response
from openai.types.audio import Transcription, TranscriptionStreamEvent, TranscriptionVerbose
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from wyoming.asr import Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

ROOT = Path(__file__).parents[2]
PROGRAM = str(Path(os.environ.get("VIVAVOCE", ROOT / "target" / "debug" / "vivavoce")).resolve())
CLIP = ROOT / "audio-samples/harbour-int16-16000-mono.wav"
CHUNK = 3200


@pytest.fixture(scope="module")
def server():
    arguments = ["--listen", "127.0.0.1:0", "--wyoming", "0", "--log-format", "json"]
    process = subprocess.Popen([PROGRAM, "serve", *arguments], stderr=subprocess.PIPE, text=True)
    found = {}
    while len(found) < 2:
        fields = json.loads(process.stderr.readline())["fields"]
        found |= {name: fields[name] for name in ("address", "wyoming") if name in fields}
    yield found
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture(scope="module")
def words():
    return transcribed(CLIP)


def transcribed(path):
    command = [PROGRAM, "transcribe", str(path), "--format", "txt"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(text.split()) > 5
    return " ".join(text.split())


def pcm():
    with wave.open(str(CLIP)) as clip:
        return clip.readframes(clip.getnframes())


def pieces(size=CHUNK):
    sound = pcm()
    return [sound[at : at + size] for at in range(0, len(sound), size)]


@pytest.mark.parametrize("size", [1000, 8000, 1 << 20])
def test_websockets_in_lockstep_as_the_samples_of_vosk(server, words, size):
    async def talk():
        said = []
        async with websockets.connect(f"ws://{server['address']}") as socket:
            await socket.send('{ "config" : { "sample_rate" : 16000 } }')
            for piece in pieces(size):
                await socket.send(piece)
                said.append(json.loads(await socket.recv()))
            await socket.send('{"eof" : 1}')
            said.append(json.loads(await socket.recv()))
            with pytest.raises(websockets.ConnectionClosedOK):
                await socket.recv()
        return said

    said = asyncio.run(talk())
    assert " ".join(answer["text"] for answer in said if answer.get("text")) == words


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
