"""Makes the files of this folder from a sample clip, as common encoders write them: python3 tests/media/make.py (needs PyAV, soundfile, and ffmpeg with libopus)."""

import subprocess
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

VOICE = ["-ac", "1", "-c:a", "libopus", "-application", "voip"]
FFMPEG = [
    ("voip-6k.opus", ["-ar", "48000", *VOICE, "-b:a", "6k"]),
    ("voip-12k-60ms.opus", ["-ar", "16000", *VOICE, "-b:a", "12k", "-frame_duration", "60"]),
    ("stereo-16k.opus", ["-ar", "48000", *VOICE, "-ac", "2", "-b:a", "16k"]),
    ("lowdelay-24k-5ms.opus", ["-ar", "48000", *VOICE, "-b:a", "24k", "-application", "lowdelay", "-frame_duration", "5"]),
    ("clock.webm", ["-ar", "48000", *VOICE, "-b:a", "16k"]),
    ("opus.mp4", ["-ar", "48000", "-ac", "1", "-c:a", "libopus", "-b:a", "24k", "-movflags", "+faststart"]),
    ("clock.mkv", ["-f", "lavfi", "-i", "color=c=black:s=16x16:r=1:d=3", "-ac", "1", "-ar", "16000", "-c:a", "libvorbis", "-c:v", "mpeg4"]),
    ("fragments.mp4", ["-ac", "1", "-ar", "16000", "-c:a", "aac", "-b:a", "32k", "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000"]),
    # Nothing in it tells its length, and what its first frames let one guess is wrong.
    ("streamed.mp3", ["-ac", "1", "-ar", "16000", "-c:a", "libmp3lame", "-q:a", "5", "-write_xing", "0", "-id3v2_version", "0"]),
    ("alaw.wav", ["-ac", "1", "-ar", "8000", "-c:a", "pcm_alaw"]),
    ("mulaw.wav", ["-ac", "1", "-ar", "8000", "-c:a", "pcm_mulaw"]),
]
for name, arguments in FFMPEG:
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-i", CLIP, *arguments, *exact, HERE / name], check=True)
