"""However audio is cut and whatever its pace, every protocol gives the words of `vivavoce transcribe`.
benches/serve_grid.py tries many more sizes."""

import asyncio

import pytest
from conftest import CLIP, samples
from speak import PROTOCOLS


@pytest.mark.parametrize("size", [333, 5000, 1 << 20])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pieces(server, words, protocol, size):
    assert asyncio.run(PROTOCOLS[protocol](server, samples(CLIP), size)) == words


def test_at_the_pace_of_speech_all_at_once(server, words):
    async def talk():
        return await asyncio.gather(*(say(server, samples(CLIP), 3200, True) for say in PROTOCOLS.values()))

    assert asyncio.run(talk()) == [words] * len(PROTOCOLS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_byte_at_a_time(server, protocol):
    # A second has no word that would be worth much: what counts is that nothing is lost or shifted by a byte.
    sound = samples(CLIP)[: 2 * 8000]
    whole = asyncio.run(PROTOCOLS[protocol](server, sound, len(sound)))
    assert asyncio.run(PROTOCOLS[protocol](server, sound, 1)) == whole
