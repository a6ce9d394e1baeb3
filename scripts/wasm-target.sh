#!/usr/bin/env bash
# Makes sure that Rust can be compiled to WebAssembly here, and says how.
#
#   eval "$(scripts/wasm-target.sh)"
#   cargo build --target wasm32-unknown-unknown "${WASM_CARGO_FLAGS[@]}" …
#
# What it does goes to stderr; stdout has only the shell lines to evaluate. Two ways lead there:
#   1. rustup adds the target's standard library;
#   2. where that cannot be fetched, Debian's compiler builds the standard library from source,
#      driven by the cargo that is there (packages rustc-web and rust-web-src).
# SANDBAR_WASM_TOOLCHAIN=rustup or =debian allows only that way.
set -euo pipefail

target=wasm32-unknown-unknown
way=${SANDBAR_WASM_TOOLCHAIN:-any}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { echo "wasm-target: $*" >&2; }

die() {
    say "$*"
    exit 1
}

has_library() {
    local sysroot
    sysroot=$("${RUSTC:-rustc}" --print sysroot 2>/dev/null) || return 1
    compgen -G "$sysroot/lib/rustlib/$target/lib/libstd-*.rlib" >/dev/null
}

by_rustup() {
    if has_library; then
        say "rustc has $target"
        return 0
    fi
    command -v rustup >/dev/null || { say "rustup is not installed"; return 1; }
    say "rustup target add $target"
    timeout 120 rustup target add "$target" >/dev/null 2>&1 || { say "rustup could not add it"; return 1; }
    has_library
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

debian_ready() { [ -x /usr/bin/rustc ] && [ -f "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml" ]; }

by_debian() {
    if ! debian_ready; then
        command -v apt-get >/dev/null || { say "there is no apt-get"; return 1; }
        say "installing Debian's rustc-web and rust-web-src (some 150 MB)"
        as_root apt-get update -qq >&2 || say "apt-get update failed; trying with the lists that are there"
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends rustc-web rust-web-src >&2 || return 1
        debian_ready || { say "the packages did not bring a compiler with its sources"; return 1; }
    fi
    local linker
    linker=$(find_linker) || { say "no rust-lld, lld or wasm-ld found; apt-get install lld"; return 1; }
    say "$(/usr/bin/rustc --version) builds the standard library for $target, linker $linker"
    printf 'export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1\n'
    printf 'export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=%q\n' "$linker"
    # A directory of its own: two compilers in one would rebuild each other's work.
    printf 'export CARGO_TARGET_DIR=%q\n' "${CARGO_TARGET_DIR:-$here/target}/debian"
    printf 'WASM_CARGO_FLAGS=(-Zbuild-std=std,panic_abort)\n'
}

find_linker() {
    local sysroot host candidate
    if command -v rustup >/dev/null; then
        sysroot=$(rustc --print sysroot)
        host=$(rustc -vV | sed -n 's/^host: //p')
        candidate="$sysroot/lib/rustlib/$host/bin/rust-lld"
        [ -x "$candidate" ] && { echo "$candidate"; return; }
    fi
    for candidate in wasm-ld lld wasm-ld-19 lld-19; do
        command -v "$candidate" && return
    done
    return 1
}

case $way in
any | rustup | debian) ;;
*) die "SANDBAR_WASM_TOOLCHAIN is '$way'; use rustup or debian, or leave it out" ;;
esac

if [ "$way" != debian ] && by_rustup; then
    printf 'WASM_CARGO_FLAGS=()\n'
    exit 0
fi
if [ "$way" != rustup ] && by_debian; then
    exit 0
fi
die "no way to compile Rust to $target. With rustup: 'rustup target add $target'. On Debian: 'apt-get install rustc-web rust-web-src'."
