"""Draws docs/listen.svg: what `vivavoce listen` shows while somebody speaks, from what it tells of two of the clips.

    python3 docs/picture.py --binary target/release/vivavoce
"""

import argparse
import html
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ("clock-float32-16000-mono", "garden-int16-48000-mono")
PROMPT = "$ vivavoce listen"
WIDTH, LINE, LEFT, TOP, FONT = 760, 26, 22, 58, 16
PAUSE_S = 1.6


def heard(binary, clip):
    """[(time, confirmed, tentative)] and the text at the end."""
    told = subprocess.run([binary, "listen", ROOT / "audio-samples" / f"{clip}.wav", "--json"], check=True, capture_output=True, text=True).stdout
    events = list(map(json.loads, told.splitlines()))
    partials = [(e["time"], e["confirmed"], e["tentative"]) for e in events if "partial" in e]
    [final] = [e for e in events if "result" in e]
    return partials, (max(final["time"], final["result"][-1]["end"] + 0.6), final["text"])


def frames(binary):
    """[(time, lines that stand, confirmed, tentative)] of all clips one after the other, and when it begins anew."""
    found, standing, begin = [(0.0, [], "", "")], [], 0.8
    for clip in CLIPS:
        partials, (end, text) = heard(binary, clip)
        found += [(begin + time, list(standing), confirmed, tentative) for time, confirmed, tentative in partials]
        standing.append(text)
        found.append((begin + end, list(standing), "", ""))
        begin += end + 0.7
    return found, begin + PAUSE_S


def drawn(found, total):
    height = TOP + LINE * (len(CLIPS) + 1) + 14
    style, body = [], []
    for i, (start, standing, confirmed, tentative) in enumerate(found):
        end = found[i + 1][0] if i + 1 < len(found) else total
        a, b = 100 * start / total, 100 * end / total
        before = f"0%,{a:.3f}%{{opacity:0}}" if i else ""
        after = f"{b:.3f}%,100%{{opacity:0}}" if i + 1 < len(found) else ""
        style.append(f"@keyframes f{i}{{{before}{a + 0.001:.3f}%,{b - 0.001:.3f}%{{opacity:1}}{after}}}#f{i}{{animation:f{i} {total:.2f}s infinite step-end}}")
        lines = [f'<text x="{LEFT}" y="{TOP + LINE * (k + 1)}">{html.escape(text)}</text>' for k, text in enumerate(standing)]
        gap = " " if confirmed and tentative else ""
        lines.append(f'<text x="{LEFT}" y="{TOP + LINE * (len(standing) + 1)}">{html.escape(confirmed)}{gap}<tspan class="dim">{html.escape(tentative)}</tspan></text>')
        # A viewer without animation shows the end.
        hidden = "" if i + 1 == len(found) else ' opacity="0"'
        body.append(f'<g id="f{i}"{hidden}>{"".join(lines)}</g>')
    dots = "".join(f'<circle cx="{24 + 18 * k}" cy="20" r="5.5" fill="{colour}"/>' for k, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="vivavoce listen writes words while they are spoken: confirmed ones stand, tentative ones are dim">\n'
        f"<style>text{{font:{FONT}px ui-monospace,Menlo,Consolas,monospace;fill:#e6edf3;white-space:pre}}.dim{{fill:#7d8590}}{''.join(style)}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" rx="9" fill="#0d1117"/>{dots}\n<text x="{LEFT}" y="{TOP}" class="dim">{PROMPT}</text>\n' + "\n".join(body) + "\n</svg>\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "target/release/vivavoce")
    args = parser.parse_args()
    found, total = frames(args.binary)
    (ROOT / "docs" / "listen.svg").write_text(drawn(found, total), encoding="utf-8")
    print(f"{len(found)} frames, {total:.1f} s")


if __name__ == "__main__":
    main()
