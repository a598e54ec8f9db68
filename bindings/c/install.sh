#!/bin/sh
# Builds the library and installs it, with its header and vivavoce.pc: bindings/c/install.sh [PREFIX] (/usr/local).
# PROFILE names a profile of Cargo; without it the profile is release.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:-/usr/local}"
prefix=$(cd "${1:-/usr/local}" && pwd)
profile=${PROFILE:-release}
cd "$root"
cargo build --quiet --profile "$profile" -p vivavoce-c --lib
folder=$profile
[ "$profile" = dev ] && folder=debug
built="${CARGO_TARGET_DIR:-target}/$folder"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' bindings/c/Cargo.toml | head -1)
mkdir -p "$prefix/lib/pkgconfig" "$prefix/include"
cp bindings/c/include/vivavoce.h "$prefix/include/"
cp "$built/libvivavoce_c.a" "$prefix/lib/libvivavoce.a"
for ending in so dylib; do
    if [ -f "$built/libvivavoce_c.$ending" ]; then
        cp "$built/libvivavoce_c.$ending" "$prefix/lib/libvivavoce.$ending"
    fi
done
sed "s|@PREFIX@|$prefix|; s|@VERSION@|$version|" bindings/c/vivavoce.pc.in > "$prefix/lib/pkgconfig/vivavoce.pc"
