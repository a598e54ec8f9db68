"""Makes the files of this folder from a sample clip, as common encoders write them: python3 tests/media/make.py (needs PyAV, soundfile)."""

from pathlib import Path

import av
import numpy as np
import soundfile

HERE = Path(__file__).parent
CLIP = HERE.parents[1] / "audio-samples" / "clock-float32-16000-mono.wav"
KINDS = [
    ("clock.flac", "flac", "flac", 16000, "mono", None),
    ("clock.mp3", "mp3", "libmp3lame", 16000, "mono", 32000),
    ("clock.m4a", "ipod", "aac", 44100, "mono", 48000),
    ("clock.aac", "adts", "aac", 16000, "stereo", 48000),
    ("clock.aiff", "aiff", "pcm_s16be", 16000, "mono", None),
    ("clock.opus", "ogg", "libopus", 48000, "mono", 24000),
]

for name, container, codec, rate, layout, bit_rate in KINDS:
    with av.open(CLIP) as clip, av.open(HERE / name, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size)
        for frame in [*clip.decode(audio=0), None]:
            for piece in resampler.resample(frame):
                out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    print(name, (HERE / name).stat().st_size)

samples, rate = soundfile.read(CLIP, dtype="float32")
soundfile.write(HERE / "clock.ogg", np.stack([samples, samples], axis=1), rate, format="OGG", subtype="VORBIS")
