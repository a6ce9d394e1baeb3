#!/usr/bin/env bash
# Fuzzes what an upload goes through (host/plugin/fuzz). Installs cargo-fuzz into .build/tools where it is
# missing, and compiles wasmtime once more, instrumented, into .build/fuzz.
#
#   scripts/fuzz.sh                 until Ctrl-C; what it finds worth keeping goes to .build/fuzz-corpus
#   SECONDS_TO_FUZZ=600 scripts/fuzz.sh
#   scripts/fuzz.sh --fixed         the same inputs at every run: the seeds and RUNS mutations of them (CI)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.13.2
root=$PWD
tools=$root/.build/tools
runs=${RUNS:-3000}

if [ "$("$tools/bin/cargo-fuzz" --version 2>/dev/null)" != "cargo-fuzz $version" ]; then
    echo "fuzz: installing cargo-fuzz $version" >&2
    CARGO_TARGET_DIR=$root/.build/fuzz/install cargo install --quiet --locked --root "$tools" --debug "cargo-fuzz@$version"
fi

# Coverage alone works with the stable compiler; the code has no `unsafe` that an address sanitizer could watch.
fuzz() {
    local command=$1
    shift
    "$tools/bin/cargo-fuzz" "$command" --fuzz-dir host/plugin/fuzz --target-dir .build/fuzz \
        --sanitizer none --no-trace-compares upload "$@"
}

seeds=$root/host/plugin/fuzz/seeds
# What breaks is kept there.
mkdir -p .build/fuzz-corpus .build/fuzz-found
options=(-timeout=60 -rss_limit_mb=4096 -max_len=65536 "-artifact_prefix=$root/.build/fuzz-found/")
if [ "${1:-}" = --fixed ]; then
    # An empty corpus of its own: what other runs found must not change what this one does.
    corpus=$(mktemp -d)
    trap 'rm -rf "$corpus"' EXIT
    fuzz run "$corpus" "$seeds" -- "${options[@]}" -seed=1 "-runs=$runs" -verbosity=0 -print_final_stats=1
else
    fuzz run "$root/.build/fuzz-corpus" "$seeds" -- "${options[@]}" "-max_total_time=${SECONDS_TO_FUZZ:-0}"
fi
