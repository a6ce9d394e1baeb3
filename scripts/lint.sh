#!/usr/bin/env bash
# Format, clippy, licences and advisories, documentation. Everything that is wrong is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

deny_version=0.20.2

echo "[1/4] format, and one build of wasmtime"
cargo fmt --all --check
scripts/one-build.sh

echo "[2/4] clippy"
cargo clippy --release --workspace --all-targets -- -D warnings

echo "[3/4] cargo deny $deny_version"
deny=.build/tools/bin/cargo-deny
if ! [ -x "$deny" ] || [ "$("$deny" --version)" != "cargo-deny $deny_version" ]; then
    echo "      installing it into .build/tools (some minutes)"
    cargo install cargo-deny --version "$deny_version" --locked --quiet --root .build/tools --target-dir .build/tools/target
    rm -rf .build/tools/target
fi
"$deny" --log-level error check licenses bans sources
# The advisory database is fetched from the network. Where that cannot be reached, say so rather
# than fail: what is wrong with a dependency does not change with the network of a builder.
if "$deny" --log-level error fetch db 2>/dev/null; then
    "$deny" --log-level error check advisories
else
    echo "      the advisory database could not be fetched: advisories are NOT checked"
fi

echo "[4/4] documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --workspace --quiet
