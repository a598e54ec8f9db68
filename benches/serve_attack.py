"""Attacks at full size on a server of its own; a client that speaks to it all the while must not notice.

    python benches/serve_attack.py target/release/vivavoce

Needs tests/clients/requirements.txt, and FLAC's encoder for the last. Prints for each attack what came of it, its time, the memory of the server before, at
most and after, and the slowest answer that the other client had; ends with 1 if somebody was harmed."""

import asyncio
import json
import os
import socket
import struct
import sys
import time
from pathlib import Path

import websockets

from held import memory

ROOT = Path(__file__).parents[1]
os.environ["VIVAVOCE"] = sys.argv[1]
sys.path.insert(0, str(ROOT / "tests/clients"))

from conftest import CLIP, samples, started, transcribed  # noqa: E402

EXPECTED = transcribed(CLIP)
CHUNK = 3200


class Other:
    """Speaks all the while, at the pace of speech; notes the slowest answer and every wrong text."""

    def __init__(self, address):
        self.address, self.slowest, self.wrong, self.right = address, 0.0, 0, 0

    async def run(self):
        while True:
            try:
                await self.once()
            except (OSError, websockets.WebSocketException) as error:
                self.wrong += 1
                print(f"  the other client was refused: {error!r}")
                await asyncio.sleep(0.5)

    async def once(self):
        sound, texts = samples(CLIP), []
        async with websockets.connect(f"ws://{self.address}", compression=None) as ws:
            await ws.send('{"config" : {"sample_rate" : 16000}}')
            begin = time.monotonic()
            for at in range(0, len(sound), CHUNK):
                due = begin + (at + CHUNK) / 32_000
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await ws.send(sound[at : at + CHUNK])
                texts.append(json.loads(await ws.recv()).get("text"))
                self.slowest = max(self.slowest, time.monotonic() - due)
            await ws.send('{"eof" : 1}')
            texts.append(json.loads(await ws.recv()).get("text"))
        right = " ".join(filter(None, texts)) == EXPECTED
        self.right, self.wrong = self.right + right, self.wrong + (not right)


async def opened(server):
    host, port = server["address"].rsplit(":", 1)
    return await asyncio.open_connection(host, int(port), limit=1 << 22)


async def answer(reader):
    try:
        text = await asyncio.wait_for(reader.read(), 300)
    except TimeoutError:
        return "no answer"
    except OSError:
        return "reset"
    return text.split(b"\r\n", 1)[0].decode() or "closed"


async def slow_heads(server):
    """500 heads, a byte a second."""
    async def one():
        reader, writer = await opened(server)
        begin, told = time.monotonic(), asyncio.ensure_future(answer(reader))
        try:
            for byte in b"GET /health HTTP/1.1\r\nx-slow: " + b"y" * 100:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
                if told.done():
                    break
        except OSError:
            pass
        return await told, time.monotonic() - begin

    said = await asyncio.gather(*(one() for _ in range(500)))
    return f"{sum('200' in text for text, _ in said)} answered, the last let go after {max(s for _, s in said):.0f} s"


async def slow_bodies(server):
    """100 uploads, ten bytes a second."""
    async def one():
        reader, writer = await opened(server)
        writer.write(b"POST /v1/listen HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n")
        begin, told = time.monotonic(), asyncio.ensure_future(answer(reader))
        while not told.done() and time.monotonic() - begin < 90:
            try:
                writer.write(b"0123456789")
                await writer.drain()
            except OSError:
                break
            await asyncio.sleep(1)
        writer.close()
        return await told, time.monotonic() - begin

    said = await asyncio.gather(*(one() for _ in range(100)))
    kinds = {text: sum(t == text for t, _ in said) for text, _ in said}
    return f"{kinds}, the last after {max(s for _, s in said):.0f} s"


async def connects_and_drops(server):
    """10,000 connections, half of them sockets, half of those in the middle of a frame."""
    host, port = server["address"].rsplit(":", 1)
    upgrade = (
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()

    def wave(begin):
        for i in range(begin, begin + 100):
            with socket.create_connection((host, int(port))) as connection:
                if i % 4 == 0:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if i % 2:
                    connection.sendall(upgrade)
                if i % 4 == 3:
                    connection.recv(200)
                    connection.sendall(b"\x82\xfe\x10\x00\1\2\3\4half")

    for begin in range(0, 10_000, 100):
        await asyncio.to_thread(wave, begin)
    return "all dropped"


async def huge_body(server):
    """1 GB in a form, of unknown length; and 1 GB that is announced."""
    reader, writer = await opened(server)
    writer.write(b"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=e\r\ntransfer-encoding: chunked\r\n\r\n")
    head = b'--e\r\ncontent-disposition: form-data; name="file"\r\n\r\n'
    writer.write(b"%x\r\n%b\r\n" % (len(head), head))
    told, sent, piece = asyncio.ensure_future(answer(reader)), 0, b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    try:
        while sent < 1 << 30 and not told.done():
            writer.write(piece)
            await writer.drain()
            sent += 1 << 20
    except OSError:
        pass
    first = await told
    reader, writer = await opened(server)
    writer.write(b"POST /v1/listen HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1073741824\r\n\r\n")
    return f"{first} after {sent / 1e6:.0f} MB; announced: {await answer(reader)}"


async def huge_message(server):
    """A message of 1 GB."""
    reader, writer = await opened(server)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x82\xff" + struct.pack(">Q", 1 << 30) + b"\0\0\0\0")
    sent = 0
    told = asyncio.ensure_future(reader.read())
    try:
        while sent < 1 << 30 and not told.done():
            writer.write(bytes(1 << 20))
            await writer.drain()
            sent += 1 << 20
    except OSError:
        pass
    try:
        frame = await told
    except OSError:
        frame = b""
    code = struct.unpack(">H", frame[2:4])[0] if len(frame) > 3 else "reset"
    return f"{code} after {sent / 1e6:.0f} MB"


def bits(*fields):
    number, width = 0, 0
    for value, size in fields:
        number, width = number << size | value, width + size
    return number.to_bytes(width // 8, "big")


def crc(data, polynomial, width):
    value, top = 0, 1 << (width - 1)
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & ((1 << width) - 1)
    return value.to_bytes(width // 8, "big")


def flac(hours):
    """Silence in FLAC: 8 seconds in 14 bytes."""
    file = [b"fLaC\x80\0\0\x22" + bits((65535, 16), (65535, 16), (0, 48), (8000, 20), (0, 3), (15, 5), (0, 36)) + bytes(16)]
    for block in range(int(hours * 3600 * 8000 / 65535)):
        number = chr(block).encode("utf-8", "surrogatepass")
        frame = b"\xff\xf8\x74\x08" + number + b"\xff\xfe"
        frame += crc(frame, 7, 8)
        frame += b"\0\0\7"
        file.append(frame + crc(frame, 0x8005, 16))
    return b"".join(file)


async def bomb(server):
    """A FLAC file of 100 hours, twice: as a file, and as a form."""
    file, said = flac(100), []
    for path, kind, body in [
        ("/v1/listen", "audio/flac", file),
        ("/v1/audio/transcriptions", "multipart/form-data; boundary=e", b'--e\r\ncontent-disposition: form-data; name="file"\r\n\r\n' + file + b"\r\n--e--\r\n"),
    ]:
        reader, writer = await opened(server)
        writer.write(f"POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        begin = time.monotonic()
        said.append(f"{await answer(reader)} after {time.monotonic() - begin:.1f} s")
    return f"{len(file)} bytes: {'; '.join(said)}"


async def hotwords(server):
    """100,000 hotwords; and 200 clients with as many as are allowed at once."""
    async def one(words):
        try:
            async with websockets.connect(f"ws://{server['address']}") as ws:
                await ws.send(json.dumps({"config": {"sample_rate": 16000, "hotwords": words}}))
                await ws.send(bytes(3200))
                await ws.recv()
                return "taken"
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else "gone"

    many = await one([f"word{i}" for i in range(100_000)])
    begin = time.monotonic()
    word = lambda n: "".join(chr(97 + n // 26**k % 26) for k in range(4))  # noqa: E731
    said = await asyncio.gather(*(one([f"{word(i * 7919 + j)} {word(i + 31 * j)}" for i in range(500)]) for j in range(200)))
    kinds = {code: said.count(code) for code in said}
    return f"{many}; 200 lists of 500: {kinds} in {time.monotonic() - begin:.1f} s"


async def garbage(server):
    """2000 sockets that send what is no message, no UTF-8, no JSON, no audio."""
    async def one(i):
        try:
            async with websockets.connect(f"ws://{server['address']}", compression=None) as ws:
                await ws.send([os.urandom(3001), "[" * 50_000, '{"config":{"sample_rate":1e999}}', '{"a"', "\0" * 1000][i % 5])
                if i % 5 == 0:
                    await ws.recv()
                    ws.transport.write(b"\x81\x82\0\0\0\0\xc3\x28")
                await asyncio.wait_for(ws.recv(), 20)
                return "answered"
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else "gone"
        except (OSError, websockets.WebSocketException, TimeoutError) as error:
            return type(error).__name__

    said = []
    for _ in range(40):
        said += await asyncio.gather(*(one(i) for i in range(50)))
    return str({code: said.count(code) for code in said})


async def flood(server):
    """20 sockets that send audio as fast as can be, for half a minute."""
    sound = samples(CLIP)[:64_000]

    async def one():
        heard = 0
        async with websockets.connect(f"ws://{server['address']}", compression=None, ping_interval=None) as ws:
            async def read():
                nonlocal heard
                async for _ in ws:
                    heard += 2
            reading = asyncio.ensure_future(read())
            await ws.send('{"config" : {"sample_rate" : 16000}}')
            end = time.monotonic() + 30
            while time.monotonic() < end:
                try:
                    await asyncio.wait_for(ws.send(sound), max(0.1, end - time.monotonic()))
                except TimeoutError:
                    break
            reading.cancel()
            ws.transport.abort()
        return heard

    said = await asyncio.gather(*(one() for _ in range(20)))
    return f"{sum(said)} s of audio heard, {min(said)} to {max(said)} each"


ATTACKS = [flood, slow_heads, slow_bodies, connects_and_drops, huge_body, huge_message, bomb, hotwords, garbage]


async def main():
    harmed = 0
    process, server = started("--max-streams", "300", "--threads", "2", "--max-seconds", "600")
    other = Other(server["address"])
    talking = asyncio.ensure_future(other.run())
    await asyncio.sleep(5)
    print(f"alone: {memory(process.pid):.0f} MB, slowest answer {1000 * other.slowest:.0f} ms", flush=True)
    for attack in ATTACKS:
        other.slowest, other.wrong, other.right = 0.0, 0, 0
        before, most, begin = memory(process.pid), 0.0, time.monotonic()
        attacking = asyncio.ensure_future(attack(server))
        while not attacking.done():
            most = max(most, memory(process.pid))
            await asyncio.wait([attacking], timeout=0.05)
        seconds = time.monotonic() - begin
        await asyncio.sleep(5)
        name = attack.__doc__.strip()
        print(f"{name}\n  {attacking.result()}")
        print(f"  {seconds:.1f} s; {before:.0f} MB before, {most:.0f} at most, {memory(process.pid):.0f} after; the other client: slowest answer "
              f"{1000 * other.slowest:.0f} ms, {other.wrong} wrong of {other.right + other.wrong}", flush=True)
        harmed += other.wrong
    talking.cancel()
    await asyncio.sleep(3)
    reader, writer = await opened(server)
    writer.write(b"GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    await asyncio.sleep(1)
    ready = (await reader.read()).split(b"\r\n\r\n", 1)[1]
    print(f"at the end: {ready.decode()}, {memory(process.pid):.0f} MB")
    process.terminate()
    print(f"ended with {process.wait(30)}")
    return 1 if harmed or json.loads(ready)["streams"] else 0


sys.exit(asyncio.run(main()))
