"""Writes what is being said into a microphone, until Ctrl-C: pip install sounddevice numpy && python microphone.py

A callback of the sound card only copies; what hears waits at a queue.
"""

import queue
import sys

import sounddevice
import vivavoce


def chunks(heard):
    """Chunks as they come, until Ctrl-C."""
    try:
        while True:
            yield heard.get()
    except KeyboardInterrupt:
        return


def main():
    rate = int(sounddevice.query_devices(kind="input")["default_samplerate"])
    session = vivavoce.Recognizer(latency="low").session(rate)
    heard = queue.SimpleQueue()

    def callback(samples, frames, time, status):
        if status:
            print(status, file=sys.stderr)
        heard.put(samples.copy())

    with sounddevice.InputStream(rate, channels=1, dtype="float32", callback=callback):
        print("Speak; Ctrl-C ends.", file=sys.stderr)
        for event in session.events(chunks(heard)):
            if isinstance(event, vivavoce.Partial):
                print(f"\r\x1b[K{event.confirmed} \x1b[2m{event.tentative}\x1b[0m", end="", flush=True)
            elif isinstance(event, vivavoce.Final) and event.text:
                print(f"\r\x1b[K{event.text}")


if __name__ == "__main__":
    main()
