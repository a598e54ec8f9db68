# shellcheck shell=sh
# Finds a Rust for browsers; to be sourced. web_toolchain says whether there is one, web_cargo is cargo for it.

web_toolchain() {
    web_flags="-C target-feature=+simd128"
    web_std=
    web_rustc=$(command -v rustc) || return 1
    if [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
        return 0
    fi
    # A system's own rustc with the source of its standard library.
    web_rustc=/usr/bin/rustc
    [ -x "$web_rustc" ] && [ -f "$("$web_rustc" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ] || return 1
    web_std=-Zbuild-std=std,panic_abort
    # Its linker is of another version; that of rustup is of this one.
    web_linker=$(find "$(rustc --print sysroot)/lib/rustlib" -name rust-lld 2> /dev/null | head -1)
    web_linker=${web_linker:-$(command -v wasm-ld)} || return 1
}

web_cargo() {
    if [ -n "$web_std" ]; then
        # shellcheck disable=SC2086
        RUSTC=$web_rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$web_linker RUSTFLAGS=$web_flags \
            cargo "$@" $web_std --target wasm32-unknown-unknown --target-dir "${CARGO_TARGET_DIR:-target}/wasm"
    else
        RUSTFLAGS=$web_flags cargo "$@" --target wasm32-unknown-unknown --target-dir "${CARGO_TARGET_DIR:-target}/wasm"
    fi
}
