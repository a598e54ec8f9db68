"""Compares our Ogg Opus with libopus: python3 benches/opus_grid.py --binary target/release/vivavoce (needs ffmpeg with libopus, numpy).

Speech is encoded by libopus in every mode, decoded by libopus and by the program (`listen --save`), and the two are compared: SNR of the samples in
dB (16 bits, so 90 is the most) and words that differ between the transcripts of the two. With `--lose N` every Nth page of one packet is taken out first.
"""

import argparse
import re
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MODES = [
    *[(mode, kbps, 48000, 1, 20) for mode in ("voip", "audio", "lowdelay") for kbps in (6, 8, 12, 16, 24, 32, 64)],
    *[("voip", 16, rate, 1, 20) for rate in (8000, 12000, 16000, 24000)],
    *[("voip", kbps, 48000, 2, 20) for kbps in (8, 16, 32, 64)],
    *[("voip", kbps, 48000, 1, ms) for kbps in (8, 24, 48) for ms in (2.5, 5, 10, 40, 60)],
]


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def lose(path, every):
    """Takes out every Nth page of audio, as a link that loses them does."""
    data, pages = path.read_bytes(), []
    for match in re.finditer(b"OggS", data):
        pages.append(match.start())
    kept = [data[a:b] for i, (a, b) in enumerate(zip(pages, [*pages[1:], len(data)])) if i < 3 or i == len(pages) - 1 or i % every]
    path.write_bytes(b"".join(kept))


def samples(path):
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return data.mean(axis=1) / 32768.0


def ours(binary, path, folder):
    saved = folder / "ours.wav"
    saved.unlink(missing_ok=True)
    ran = subprocess.run([binary, "listen", path, "--json", "--save", saved, "--no-endpoints"], capture_output=True, text=True)
    text = re.findall(r'"text":"([^"]*)"', ran.stdout)
    return samples(saved), text[-1] if text else "", ran.stderr.strip()


def words_apart(one, two):
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(two, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default=str(ROOT / "target/release/vivavoce"))
    parser.add_argument("--clip", type=Path, default=ROOT / "audio-samples/story-int16-16000-mono.wav")
    parser.add_argument("--lose", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    print("| mode | kbit/s | rate Hz | channels | frame ms | SNR to libopus dB | words apart | warning |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opus, reference = folder / "clip.opus", folder / "libopus.wav"
        for mode, kbps, rate, channels, ms in MODES:
            pages = ["-page_duration", 20000] if arguments.lose else []
            ffmpeg("-i", arguments.clip, "-ac", channels, "-ar", rate, "-c:a", "libopus", "-b:a", f"{kbps}k", "-application", mode, "-frame_duration", ms, *pages, opus)
            ffmpeg("-c:a", "libopus", "-i", opus, "-ar", 48000, "-c:a", "pcm_s16le", reference)
            _, expected_text, _ = ours(arguments.binary, reference, folder)
            raw = subprocess.run(["ffmpeg", "-loglevel", "error", "-i", reference, "-f", "s16le", "-"], capture_output=True, check=True).stdout
            expected = np.frombuffer(raw, "<i2").reshape(-1, channels).mean(axis=1) / 32768.0
            if arguments.lose:
                lose(opus, arguments.lose)
            heard, text, warning = ours(arguments.binary, opus, folder)
            count = min(len(heard), len(expected))
            noise = ((heard[:count] - expected[:count]) ** 2).sum()
            snr = 10 * np.log10((expected[:count] ** 2).sum() / max(noise, 1e-9))
            apart, total = words_apart(expected_text.split(), text.split()), len(expected_text.split())
            length = "" if abs(len(heard) - len(expected)) < 480 else f" {len(heard) - len(expected):+} samples;"
            print(f"| {mode} | {kbps} | {rate} | {channels} | {ms} | {snr:.1f} | {apart} of {total} |{length} {warning.replace(str(folder), '')} |", flush=True)


if __name__ == "__main__":
    main()
