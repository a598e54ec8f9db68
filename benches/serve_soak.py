"""Hours of life for a server: streams at the pace of speech of which many end badly, and whether its memory stays.

    python benches/serve_soak.py target/release/vivavoce STREAMS MINUTES [CORE]

The server has one thread, on CORE if that is named. Half of the streams end as they should and must give the words of `vivavoce transcribe`; the others hang up in
the middle of a message, do not read, send garbage, or fall silent without closing. Prints a line a minute; ends with 1 if a text differs, a stream that should
not fail does, a place stays taken, or memory (by more than 2 %), handles or threads grow after the first fifth. Needs tests/clients/requirements.txt."""

import asyncio
import collections
import json
import os
import random
import sys
import time
from pathlib import Path

import websockets

from held import Held

ROOT = Path(__file__).parents[1]
os.environ["VIVAVOCE"] = sys.argv[1]
sys.path.insert(0, str(ROOT / "tests/clients"))

from conftest import samples, started, transcribed  # noqa: E402
from speak import PROTOCOLS  # noqa: E402

STREAMS, MINUTES = int(sys.argv[2]), float(sys.argv[3])
CLIPS = ["harbour-int16-16000-mono.wav", "edges-int16-16000-mono.wav", "story-int16-16000-mono.wav", "road-noise-int16-16000-mono.wav"]
CHUNK = 3200
CONFIG = '{"config" : {"sample_rate" : 16000}}'
HANDSHAKE = (
    "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()
counts = collections.Counter()


def frame(payload):
    return b"\x82\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload


async def good(server, sound, expected):
    name = random.choice(["vosk", "vosk", "vosk", "deepgram", "realtime", "wyoming"])
    text = await PROTOCOLS[name](server, sound, CHUNK, True)
    counts["right" if text == expected else "WRONG"] += 1
    if text != expected:
        print(f"{name}\n  expected {expected}\n  heard    {text}", flush=True)


async def raw(server):
    host, port = server["address"].rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def hang_up(server, sound, _):
    reader, writer = await raw(server)
    for at in range(0, len(sound) // random.randint(2, 6), CHUNK):
        writer.write(frame(sound[at : at + CHUNK]))
        await asyncio.sleep(0.1)
    writer.write(frame(sound[:CHUNK])[: random.randint(1, 2000)])
    await writer.drain()
    writer.transport.abort()
    counts["hung up"] += 1


async def no_reading(server, sound, _):
    """Sends as fast as can be and reads nothing, until the server has enough of it."""
    reader, writer = await raw(server)
    begin = time.monotonic()
    try:
        while time.monotonic() - begin < 60:
            writer.write(frame(sound[:64_000][:60_000]))
            await asyncio.wait_for(writer.drain(), 60)
            await asyncio.sleep(0.05)
    except (OSError, TimeoutError):
        counts["not read, let go"] += 1
    else:
        counts["not read"] += 1
    writer.transport.abort()


async def garbage(server, sound, _):
    try:
        async with websockets.connect(f"ws://{server['address']}", compression=None) as ws:
            await ws.send(sound[:CHUNK])
            await ws.recv()
            await ws.send(random.choice(["no JSON", "[1]", "\0" * 100, '{"config": 1e999'] + ["[" * 9999]))
            await asyncio.wait_for(ws.recv(), 30)
            counts["GARBAGE TAKEN"] += 1
    except websockets.ConnectionClosed:
        counts["garbage refused"] += 1


async def silent(server, sound, _):
    """Says a little, then nothing, answers no ping, and does not close."""
    reader, writer = await raw(server)
    for at in range(0, 32_000, CHUNK):
        writer.write(frame(sound[at : at + CHUNK]))
        await asyncio.sleep(0.1)
    try:
        await asyncio.wait_for(reader.read(), 150)
        counts["silent, let go"] += 1
    except TimeoutError:
        counts["SILENT, KEPT"] += 1
    except OSError:
        counts["silent, let go"] += 1
    writer.transport.abort()


HABITS = [(good, 50), (hang_up, 25), (garbage, 15), (no_reading, 5), (silent, 5)]


async def live(server, clips, until):
    await asyncio.sleep(random.random() * 5)
    while time.monotonic() < until:
        (habit,) = random.choices([habit for habit, _ in HABITS], [weight for _, weight in HABITS])
        sound, expected = random.choice(clips)
        try:
            await habit(server, sound, expected)
        except Exception as error:  # noqa: BLE001
            counts[f"FAILED {habit.__name__} {type(error).__name__}"] += 1
            print(habit.__name__, repr(error), flush=True)
            await asyncio.sleep(0.5)


async def streams(server):
    host, port = server["address"].rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    body = (await reader.read()).split(b"\r\n\r\n", 1)[1]
    writer.close()
    return json.loads(body).get("streams")


async def main():
    clips = [(samples(path), transcribed(path)) for path in (ROOT / "audio-samples" / name for name in CLIPS)]
    before = ["taskset", "-c", sys.argv[4]] if len(sys.argv) > 4 else []
    process, server = started("--max-streams", str(2 * STREAMS), "--threads", "1", before=before)
    begin = time.monotonic()
    lives = [asyncio.ensure_future(live(server, clips, begin + 60 * MINUTES)) for _ in range(STREAMS)]
    held = Held("server", process.pid)
    while (passed := time.monotonic() - begin) < 60 * MINUTES:
        await asyncio.sleep(5)
        said = held.look(passed)
        if int(passed // 60) != int((passed - 5) // 60):
            print(f"{passed / 60:5.1f} min  {said}; {await streams(server)} streams  {dict(counts)}", flush=True)
    await asyncio.gather(*lives)
    for _ in range(120):
        if await streams(server) == 0:
            break
        await asyncio.sleep(1)
    left = await streams(server)
    flat = held.flat(60 * MINUTES)
    print(f"streams at the end: {left}; {dict(counts)}")
    process.terminate()
    code = process.wait(30)
    bad = [name for name in counts if name.isupper() or name.split()[0].isupper()]
    return 1 if bad or left or code or not flat else 0


sys.exit(asyncio.run(main()))
