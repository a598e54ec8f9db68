"""Audio over each protocol, cut into pieces of any size, as fast as can be or at its pace; gives the text."""

import asyncio
import base64
import json
import time
import uuid

import websockets
from wyoming.asr import Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

RATE = 16_000


async def pieces(sound, size, paced):
    """Pieces of `size` bytes; paced: each when its last sample would have been spoken."""
    begin = time.monotonic()
    for at in range(0, len(sound), size):
        piece = sound[at : at + size]
        if paced:
            await asyncio.sleep(max(0.0, begin + (at + len(piece)) / (2 * RATE) - time.monotonic()))
        elif at // size % 64 == 0:
            await asyncio.sleep(0)
        yield piece


async def both(sending, hearing):
    """Sends while it hears: no protocol wants a client to wait."""
    sender = asyncio.ensure_future(sending)
    try:
        return await hearing
    finally:
        sender.cancel()


def joined(texts):
    return " ".join(filter(None, texts))


async def vosk(server, sound, size, paced=False):
    async with websockets.connect(f"ws://{server['address']}", max_queue=None) as socket:

        async def send():
            await socket.send('{"config" : {"sample_rate" : 16000}}')
            async for piece in pieces(sound, size, paced):
                await socket.send(piece)
            await socket.send('{"eof" : 1}')

        async def hear():
            said = [json.loads(message) async for message in socket]
            assert len(said) == -(-len(sound) // size) + 1, "one answer for each message"
            return joined(answer.get("text") for answer in said)

        return await both(send(), hear())


async def deepgram(server, sound, size, paced=False):
    query = "encoding=linear16&sample_rate=16000&interim_results=true"
    async with websockets.connect(f"ws://{server['address']}/v1/listen?{query}", max_queue=None) as socket:

        async def send():
            async for piece in pieces(sound, size, paced):
                await socket.send(piece)
            await socket.send('{"type":"CloseStream"}')

        async def hear():
            said = [json.loads(message) async for message in socket]
            assert said[-1]["type"] == "Metadata"
            finals = [message for message in said[:-1] if message.get("is_final")]
            return joined(message["channel"]["alternatives"][0]["transcript"] for message in finals)

        return await both(send(), hear())


async def realtime(server, sound, size, paced=False):
    async with websockets.connect(f"ws://{server['address']}/v1/realtime", max_queue=None) as socket:

        async def send():
            layout = {"format": {"type": "audio/pcm", "rate": RATE}, "turn_detection": None}
            session = {"type": "transcription", "audio": {"input": layout}}
            await socket.send(json.dumps({"type": "session.update", "session": session}))
            async for piece in pieces(sound, size, paced):
                audio = base64.b64encode(piece).decode()
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await socket.send('{"type":"input_audio_buffer.commit"}')

        async def hear():
            deltas = ""
            async for message in socket:
                event = json.loads(message)
                assert event["type"] != "error", event
                deltas += event.get("delta", "")
                if event["type"].endswith(".completed"):
                    assert event["transcript"] == deltas
                    return deltas

        return await both(send(), hear())


async def wyoming(server, sound, size, paced=False):
    host, port = server["wyoming"].rsplit(":", 1)
    layout = {"rate": RATE, "width": 2, "channels": 1}
    async with AsyncTcpClient(host, int(port)) as home:

        async def send():
            await home.write_event(AudioStart(**layout).event())
            async for piece in pieces(sound, size, paced):
                await home.write_event(AudioChunk(**layout, audio=piece).event())
            await home.write_event(AudioStop().event())

        async def hear():
            parts = ""
            while event := await home.read_event():
                assert event.type != "error", event.data
                if TranscriptChunk.is_type(event.type):
                    parts += TranscriptChunk.from_event(event).text
                if Transcript.is_type(event.type):
                    assert Transcript.from_event(event).text == parts
                    return parts

        return await both(send(), hear())


async def upload(server, sound, size, paced, fields):
    """A form whose bytes come in pieces; gives the body of the answer."""
    edge = uuid.uuid4().hex
    body = b"".join(
        f'--{edge}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    body += f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'.encode()
    end = f"\r\n--{edge}--\r\n".encode()
    host, port = server["address"].rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n"
        f"content-type: multipart/form-data; boundary={edge}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    writer.write(head.encode())

    async def send():
        async for piece in pieces(body + wav(sound) + end, size, paced):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    answer = await both(send(), reader.read())
    writer.close()
    head, _, answer = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head + answer
    if b"transfer-encoding: chunked" not in head.lower():
        return answer
    parts = b""
    while size := int(answer.split(b"\r\n", 1)[0], 16):
        answer = answer.split(b"\r\n", 1)[1]
        parts, answer = parts + answer[:size], answer[size + 2 :]
    return parts


def wav(sound):
    size, rate = len(sound).to_bytes(4, "little"), RATE.to_bytes(4, "little")
    layout = b"\x10\0\0\0\x01\0\x01\0" + rate + (2 * RATE).to_bytes(4, "little") + b"\x02\0\x10\0"
    return b"RIFF" + (len(sound) + 36).to_bytes(4, "little") + b"WAVEfmt " + layout + b"data" + size + sound


async def openai_file(server, sound, size, paced=False):
    return json.loads(await upload(server, sound, size, paced, {"model": "whisper-1"}))["text"]


async def openai_events(server, sound, size, paced=False):
    answer = await upload(server, sound, size, paced, {"model": "whisper-1", "stream": "true"})
    events = [line[6:] for line in answer.decode().split("\n\n") if line]
    assert events.pop() == "[DONE]"
    *deltas, done = map(json.loads, events)
    assert "".join(event["delta"] for event in deltas) == done["text"]
    return done["text"]


PROTOCOLS = {
    "vosk": vosk,
    "deepgram": deepgram,
    "realtime": realtime,
    "wyoming": wyoming,
    "openai_file": openai_file,
    "openai_events": openai_events,
}
