#!/bin/sh
# Everything that is checked: ./test.sh
# Rust alone needs no system package. The recipe's part needs python3 with pip and is skipped without; so is the feature mic
# without the headers of ALSA, and its virtual microphone without PulseAudio and its plugin for ALSA; and what runs in browsers without
# Rust for WebAssembly, Node and Chromium.
set -eu
cd "$(dirname "$0")"

step() {
    printf '\n== %s\n' "$*"
    began=$(date +%s)
    "$@"
    printf '(%s s)\n' "$(($(date +%s) - began))"
}
skip() {
    printf '\n== skipped: %s\n' "$*"
}

step cargo fmt --all --check

# The advisories come from the net; the rest does not need it.
if cargo deny --version > /dev/null 2>&1; then
    step cargo deny check --hide-inclusion-graph licenses bans sources
else
    skip "licences and sources of dependencies: cargo-deny is not installed"
fi

microphone=,mic
if [ "$(uname)" = Linux ] && ! pkg-config --exists alsa 2> /dev/null; then
    skip "the feature mic: no headers of ALSA (libasound2-dev, pkg-config)"
    microphone=
fi
default=
if [ ! -f models/en-small/model.safetensors ]; then
    skip "the embedded model: models/en-small is absent"
    export VIVAVOCE_WITHOUT_MODEL=1
    default="--no-default-features --features cli,media"
    all="--no-default-features --features cli,media$microphone"
else
    all="--features media,tls$microphone"
fi
# The program with everything runs all tests; the library alone, and the program with nothing more, what differs there.
# shellcheck disable=SC2086
for features in --no-default-features "--no-default-features --features cli" "$all"; do
    step cargo clippy --quiet --all-targets $features -- -D warnings
done
step cargo test --quiet --lib --no-default-features
step cargo test --quiet --test integration --no-default-features --features cli -- media:: cli:: cli_listen:: cli_bench:: rules::
# The last, since other tests run this program.
# shellcheck disable=SC2086
step cargo test --quiet $all
# shellcheck disable=SC2086
step cargo test --quiet $all --test integration -- --ignored public:: package::
# Everything is compiled anew for it, so quickly.
step env RUSTFLAGS="--cfg shuttle" VIVAVOCE_ORDERS="${VIVAVOCE_ORDERS:-100}" cargo test --quiet --lib --bins --profile tool \
    --no-default-features --features serve,lists --target-dir "${CARGO_TARGET_DIR:-target}/shuttle" -- schedules emitted listed
if [ -d fuzz ]; then
    VIVAVOCE_FUZZ_SECONDS=2 step cargo test --quiet --manifest-path fuzz/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}"
fi
# shellcheck disable=SC2086
RUSTDOCFLAGS="-D warnings" step cargo doc --quiet --no-deps --lib $all

installed() {
    command -v rustup > /dev/null && rustup target list --installed | grep -q "^$1\$"
}
if installed wasm32-unknown-unknown && [ -z "$default" ]; then
    step cargo check --quiet --lib --no-default-features --features embed-model --target wasm32-unknown-unknown
else
    skip "the library for browsers: no target wasm32-unknown-unknown"
fi
if installed aarch64-unknown-linux-musl && command -v qemu-aarch64 > /dev/null; then
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=qemu-aarch64 \
        step cargo test --quiet --lib --no-default-features --target aarch64-unknown-linux-musl nn::
else
    skip "the kernels for NEON: no target aarch64-unknown-linux-musl or no qemu-aarch64"
fi

python3_with() {
    # A Python that has the modules of $1, or gets them from the requirements $2: its path, or nothing.
    if python3 -c "$1" 2> /dev/null; then
        echo python3
    elif python3 -m venv "target/$3" && "target/$3/bin/pip" install --quiet -r "$2"; then
        echo "target/$3/bin/python"
    fi
}
program="${CARGO_TARGET_DIR:-target}/debug/vivavoce"
if [ -n "$default" ]; then
    skip "other people's parsers on our results: models/en-small is absent"
elif ! command -v python3 > /dev/null; then
    skip "other people's parsers on our results: no python3"
else
    parsers=$(python3_with "import pytest, pysubs2, webvtt, meeteval, jsonschema, pyte" tests/formats/requirements.txt venv-formats)
    if [ -n "$parsers" ]; then
        VIVAVOCE="$program" PYTHONDONTWRITEBYTECODE=1 step "$parsers" -m pytest -q -p no:cacheprovider tests/formats
    else
        skip "other people's parsers on our results: they cannot be installed"
    fi
fi

if [ -n "$default" ]; then
    skip "other people's clients on our server: models/en-small is absent"
elif ! command -v python3 > /dev/null; then
    skip "other people's clients on our server: no python3"
else
    clients=$(python3_with "import deepgram, openai, pytest, websockets, wyoming" tests/clients/requirements.txt venv-clients)
    if [ -n "$clients" ]; then
        node_clients=target/node-clients
        if ! command -v npm > /dev/null; then
            skip "npm's ws on our server: no npm"
        elif [ ! -d "$node_clients/node_modules/ws" ] && ! npm install --silent --no-audit --no-fund --prefix "$node_clients" ws@8; then
            skip "npm's ws on our server: it cannot be installed"
        else
            NODE_CLIENTS="$PWD/$node_clients/node_modules"
            export NODE_CLIENTS
        fi
        if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } > /dev/null; then
            skip "the page in a browser: no Chromium"
        fi
        VIVAVOCE="$program" PYTHONDONTWRITEBYTECODE=1 step "$clients" -m pytest -q -rs -p no:cacheprovider tests/clients
    else
        skip "other people's clients on our server: they cannot be installed"
    fi
fi

# The bindings: what is compiled for one of them serves the others.
if [ -n "$default" ]; then
    skip "the bindings: models/en-small is absent"
else
    step cargo clippy --quiet -p vivavoce-bindings -p vivavoce-c -p vivavoce-python --all-targets -- -D warnings
    step cargo test --quiet -p vivavoce-bindings -p vivavoce-c
    step cargo test --quiet -p vivavoce-c-header
    if command -v cc > /dev/null && command -v pkg-config > /dev/null; then
        VIVAVOCE="$program" PROFILE=dev step bindings/c/test.sh
    else
        skip "examples in C: no cc or no pkg-config"
    fi
    modules=requirements.txt
    if [ -n "${VIVAVOCE_CLUSTERS:-}" ]; then
        modules=requirements-clusters.txt
    else
        skip "Ray and Spark, which take ten minutes: VIVAVOCE_CLUSTERS=1 asks for them"
    fi
    if python3 -m venv target/venv-python 2> /dev/null && target/venv-python/bin/pip install --quiet -r "bindings/python/tests/$modules"; then
        wheels="target/wheels"
        rm -rf "$wheels"
        (cd bindings/python && step ../../target/venv-python/bin/maturin build --quiet --profile dev --out "../../$wheels")
        step target/venv-python/bin/pip install --quiet --force-reinstall --no-deps "$wheels"/*.whl
        VIVAVOCE="$program" PYTHONDONTWRITEBYTECODE=1 step target/venv-python/bin/python -m pytest -rs -p no:cacheprovider bindings/python/tests
    else
        skip "the Python package: its tests' modules cannot be installed"
    fi
fi

# Browsers: Node and Chromium run the module.
# shellcheck source=bindings/web/toolchain.sh
. bindings/web/toolchain.sh
if [ -n "$default" ]; then
    skip "vivavoce in the browser: models/en-small is absent"
elif ! command -v node > /dev/null; then
    skip "vivavoce in the browser: no Node"
elif ! web_toolchain; then
    skip "vivavoce in the browser: no target wasm32-unknown-unknown, and no rustc-web with rust-web-src"
else
    step cargo clippy --quiet -p vivavoce-web -p vivavoce-web-pack -p vivavoce-wasm-tests -- -D warnings
    # One build for both, so that what they share is compiled once.
    step web_cargo build --quiet --profile web -p vivavoce-web -p vivavoce-wasm-tests
    step bindings/web/build.sh
    VIVAVOCE="$program" VIVAVOCE_WASM_TESTS="${CARGO_TARGET_DIR:-target}/wasm/wasm32-unknown-unknown/web/vivavoce_wasm_tests.wasm" \
        step node --test bindings/web/tests/
    if [ -z "${clients:-}" ]; then
        skip "the demo in a browser: what drives it cannot be installed"
    elif ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } > /dev/null; then
        skip "the demo in a browser: no Chromium"
    else
        VIVAVOCE="$program" PYTHONDONTWRITEBYTECODE=1 step "$clients" -m pytest -q -rs -s -p no:cacheprovider bindings/web/tests
    fi
fi

python=
modules="import torch, numpy, safetensors, soundfile, sentencepiece, num2words, pytest"
if ! command -v python3 > /dev/null; then
    skip "the training recipe: no python3"
elif python3 -c "$modules" 2> /dev/null; then
    python=python3
elif [ ! -f training/requirements.txt ]; then
    skip "the training recipe: its modules are not installed"
elif python3 -m venv target/venv && target/venv/bin/pip install --quiet -r training/requirements.txt; then
    python=target/venv/bin/python
else
    skip "the training recipe: its modules cannot be installed"
fi
if [ -n "$python" ]; then
    export PYTHONDONTWRITEBYTECODE=1
    step "$python" -m pytest -q -rs -p no:cacheprovider training/tests
    step "$python" training/golden.py --check
    if [ -f training/smoke.py ]; then
        step "$python" training/smoke.py --binary "${CARGO_TARGET_DIR:-target}/debug/vivavoce"
    else
        skip "the smoke run of training: training/smoke.py is absent"
    fi
fi
printf '\nall checks passed\n'
