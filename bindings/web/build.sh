#!/bin/sh
# Builds the module and its glue, and puts the demo together: bindings/web/build.sh [MODEL FOLDER] (models/en-small)
#   bindings/web/pkg    the module and its glue, which the package has
#   bindings/web/site   the demo with package and model, for any web server
# Wants Rust 1.90 or later with the target wasm32-unknown-unknown (rustup target add wasm32-unknown-unknown). Where it is absent the
# standard library is built of its source, if that of a system's rustc is there (Debian: rustc-web, rust-web-src).
# wasm-opt (binaryen) makes the module smaller where it is installed; VIVAVOCE_WASM_OPT=0 leaves it alone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
model=$(cd "${1:-$root/models/en-small}" && pwd)
cd "$root"
# shellcheck source=toolchain.sh
. "$here/toolchain.sh"
if ! web_toolchain; then
    echo "there is no Rust for browsers: rustup target add wasm32-unknown-unknown" >&2
    exit 1
fi

target=${CARGO_TARGET_DIR:-target}
web_cargo build --quiet --profile web -p vivavoce-web
tool() {
    cargo run --quiet --profile tool -p vivavoce-web-pack -- "$@"
}
rm -rf "$here/pkg"
tool glue "$target/wasm/wasm32-unknown-unknown/web/vivavoce_web.wasm" "$here/pkg"
if [ "${VIVAVOCE_WASM_OPT:-1}" != 0 ] && command -v wasm-opt > /dev/null; then
    wasm-opt -O3 --all-features --disable-relaxed-simd -o "$here/pkg/small.wasm" "$here/pkg/vivavoce_bg.wasm"
    mv "$here/pkg/small.wasm" "$here/pkg/vivavoce_bg.wasm"
fi
# What the package has beside it.
cp LICENSE-MIT LICENSE-APACHE "$here/"

site=$here/site
rm -rf "$site"
mkdir -p "$site/vivavoce/pkg" "$site/model"
# Its looks are those of the server's page.
cp "$here"/demo/* "$root/src/serve/page/page.css" "$site/"
for file in index.js worker.js worklet.js calls.js model.js errors.js; do
    cp "$here/$file" "$site/vivavoce/"
done
cp "$here"/pkg/* "$site/vivavoce/pkg/"
for file in "$model"/*.json "$model"/*.safetensors "$model"/*.bin "$model"/*.txt; do
    ln "$file" "$site/model/" 2> /dev/null || cp "$file" "$site/model/"
done
# Not through a link into the folder that it came from.
rm -f "$site/model/files.json"
tool model "$site/model"
bytes=$(wc -c < "$here/pkg/vivavoce_bg.wasm")
echo "bindings/web/pkg: $bytes bytes, $(gzip -9 -c "$here/pkg/vivavoce_bg.wasm" | wc -c) with gzip"
echo "bindings/web/site: python3 -m http.server --bind 127.0.0.1 --directory bindings/web/site 8017, then http://localhost:8017/"
