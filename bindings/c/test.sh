#!/bin/sh
# Installs the library into a folder of its own, builds the examples with cc and CMake, and compares what they say with the program:
# bindings/c/test.sh. VIVAVOCE names the program. What a missing tool leaves out is told.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
program=${VIVAVOCE:-$root/target/debug/vivavoce}
clip=$root/audio-samples/kitchen-int16-8000-mono.wav
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

PROFILE=${PROFILE:-dev} "$here/install.sh" "$work/usr"
export PKG_CONFIG_PATH="$work/usr/lib/pkgconfig" LD_LIBRARY_PATH="$work/usr/lib" DYLD_LIBRARY_PATH="$work/usr/lib"

text() {
    sed 's/.*"text":"\([^"]*\)".*/\1/' "$1"
}
expect() {
    if [ "$(cat "$1")" != "$(cat "$2")" ]; then
        echo "$3: expected $(cat "$1")"
        echo "found $(cat "$2")"
        exit 1
    fi
}

"$program" transcribe --format txt "$clip" > "$work/expected"
[ -s "$work/expected" ]
# The samples stand behind a header of 44 bytes.
tail -c +45 "$clip" > "$work/samples"

hear() {
    # What the three examples in folder $1 say.
    "$1/transcribe" "$clip" > "$work/file"
    grep -o '^{.*' "$work/file" | sed 's/.*"text":"\([^"]*\)","warnings.*/\1/' > "$work/file.txt"
    expect "$work/expected" "$work/file.txt" "$1/transcribe"
    "$1/callback" 8000 < "$work/samples" > "$work/events" 2> "$work/told"
    grep '"event":"final"' "$work/events" > "$work/finals"
    text "$work/finals" > "$work/finals.txt"
    expect "$work/expected" "$work/finals.txt" "$1/callback"
    grep -q ' events in 3' "$work/told"
    "$1/stream" 8000 < "$work/samples" > "$work/events"
    [ "$(grep -c '"event":"partial"' "$work/events")" -gt 3 ]
    [ "$(grep -c '"event":"final"' "$work/events")" = 1 ]
    if "$1/transcribe" "$work/none.wav" 2> "$work/told"; then
        echo "$1/transcribe: a file that is not there is no failure"
        exit 1
    fi
    grep -q 'none.wav' "$work/told"
}

mkdir "$work/cc" "$work/static"
for name in transcribe stream; do
    # shellcheck disable=SC2046
    cc -std=c99 -Wall -Wextra -Werror -o "$work/cc/$name" "$here/examples/$name.c" $(pkg-config --cflags --libs vivavoce)
done
# shellcheck disable=SC2046
c++ -std=c++17 -Wall -Wextra -Werror -o "$work/cc/callback" "$here/examples/callback.cpp" $(pkg-config --cflags --libs vivavoce)
hear "$work/cc"
echo "C and C++ by cc: as the program"

if command -v cmake > /dev/null; then
    cmake -S "$here/examples" -B "$work/cmake" > "$work/log" && cmake --build "$work/cmake" >> "$work/log"
    hear "$work/cmake"
    echo "C and C++ by CMake: as the program"
else
    echo "skipped: CMake is not installed"
fi

cc -std=c99 -I "$work/usr/include" -o "$work/static/stream" "$here/examples/stream.c" "$work/usr/lib/libvivavoce.a" -lm -lpthread -ldl
"$work/static/stream" 8000 < "$work/samples" > "$work/events"
[ "$(grep -c '"event":"final"' "$work/events")" = 1 ]
echo "linked statically: as the program"

if command -v valgrind > /dev/null; then
    # Two seconds are enough: it runs some fifty times slower.
    head -c 32000 "$work/samples" > "$work/second"
    valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=9 \
        "$work/cc/stream" 8000 < "$work/second" > "$work/events"
    grep -q '"event":"final"' "$work/events"
    echo "valgrind: no error, no leak"
else
    echo "skipped: valgrind is not installed"
fi
