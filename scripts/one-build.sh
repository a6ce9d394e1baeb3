#!/usr/bin/env bash
# Whether all builds compile wasmtime with the same features, so that it is compiled once: a test's
# dependency that gives one of its crates another feature costs minutes on every machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
features() { cargo tree --workspace --target "$host" -e "$1" --prefix none -f '{p} [{f}]' | sed 's/ (\*)$//' | grep -v feature | sort -u; }
below=$(cargo tree --workspace --target "$host" -e normal,build -i wasmtime --depth 0 --prefix none -f '{p}' | head -1)
closure=$(cargo tree -p "${below/ v/@}" --target "$host" -e normal,build --prefix none -f '{p}' | sed 's/ (\*)$//' | sort -u)
other=$(comm -13 <(features normal,build) <(features all) | grep -F "$(sed 's/$/ /' <<<"$closure")" || true)
if [ -n "$other" ]; then
    printf 'With the dependencies of tests these crates have other features, and wasmtime is compiled twice:\n%s\n' "$other"
    exit 1
fi
