#!/bin/sh
# Speaks every TEXT.txt in this folder into TEXT.wav. Needs flite, espeak-ng and sox:
#   apt-get install flite espeak-ng sox
# Every line of a text is spoken alone and followed by a short pause.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# say VOICE TEXT OUT
say() {
    case $1 in
        espeak) espeak-ng -v en-us -s 150 -w "$3" "$2" ;;
        *) flite -voice "$1" -t "$2" -o "$3" ;;
    esac
}

# make NAME VOICE SOX-FORMAT-OPTIONS... [-- EFFECTS...]
make() {
    name=$1
    voice=$2
    shift 2
    format=
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        format="$format $1"
        shift
    done
    [ $# -eq 0 ] || shift
    rm -f "$work"/part-*.wav
    i=100
    while IFS= read -r line; do
        say "$voice" "$line" "$work/said.wav"
        sox -D "$work/said.wav" "$work/part-$i.wav" pad 0 0.2
        i=$((i + 1))
    done < "$name.txt"
    sox -D "$work"/part-*.wav "$work/all.wav" norm -3
    # shellcheck disable=SC2086
    sox -D "$work/all.wav" $format "$name.wav" "$@"
}

make harbour-int16-16000-mono slt -b 16 -r 16000
make kitchen-int16-8000-mono rms -b 16 -r 8000
make train-int16-44100-mono awb -b 16 -r 44100
make garden-int16-48000-mono kal16 -b 16 -r 48000
make letter-int24-44100-stereo slt -b 24 -r 44100 -- remix 1 1v0.6
make market-float32-48000-stereo rms -e floating-point -b 32 -r 48000 -- remix 1 1v0.6
make window-uint8-8000-mono awb -e unsigned-integer -b 8 -r 8000
make bridge-int16-22050-mono espeak -b 16 -r 22050
make clock-float32-16000-mono slt -e floating-point -b 32 -r 16000
make morning-int24-16000-stereo kal16 -b 24 -r 16000 -- remix 1 1v0.6
make story-int16-16000-mono slt -b 16 -r 16000
# Speech from the first sample to the last.
make edges-int16-16000-mono rms -b 16 -r 16000 -- \
    silence 1 0.01 1% reverse silence 1 0.01 1% reverse
# Pink noise about 12 dB below the speech.
make road-noise-int16-16000-mono slt -b 16 -r 16000
length=$(soxi -D road-noise-int16-16000-mono.wav)
sox -R -D -n -r 16000 -c 1 "$work/noise.wav" synth "$length" pinknoise gain -20
sox -D -m -v 0.8 road-noise-int16-16000-mono.wav -v 1 "$work/noise.wav" -b 16 "$work/mixed.wav"
mv "$work/mixed.wav" road-noise-int16-16000-mono.wav
