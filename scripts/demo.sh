#!/usr/bin/env bash
# `make demo`: installs, builds, starts a hub on a fresh folder, runs the main job on real data, and goes
# on serving until Ctrl-C. ONCE=1 ends with the job's status; PORT=7401 takes another port.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

port=${PORT:-7400}
port=${port:-7400}
folder=target/demo
url=http://127.0.0.1:$port

say() { echo "[$1/5] $2"; }

for tool in cargo node npm; do
    command -v "$tool" >/dev/null || { echo "demo: $tool is needed and not there" >&2; exit 1; }
done

say 1 "real data: GitHub's webhook payloads and their schemas (npm, pinned by lock file)"
npm ci --prefix examples/github --silent --no-audit --no-fund
node examples/github/setup.mjs

say 2 "plugins, also those that the hub carries (the wasm32 target is installed where it is missing)"
scripts/guests.sh --bundled github-to-tracker github-to-chat

say 3 "the hub (a cold build takes some ten minutes on two cores)"
cargo build --release --workspace --bin sandbar

say 4 "starting the hub on $url, data in $folder/data"
rm -rf "$folder"
mkdir -p "$folder"
target/release/sandbar serve --data "$folder/data" --listen "127.0.0.1:$port" >"$folder/hub.out" 2>"$folder/hub.log" &
hub=$!
stop() { kill "$hub" 2>/dev/null && wait "$hub" 2>/dev/null || true; }
trap stop EXIT
# The hub prints one line when it serves; it ends, and says why, when it cannot.
until grep -q '^sandbar listening' "$folder/hub.out"; do
    if ! kill -0 "$hub" 2>/dev/null; then
        cat "$folder/hub.log" >&2
        echo "demo: the hub did not start; if the port is taken, choose another: make demo PORT=7401" >&2
        exit 1
    fi
    sleep 0.1
done

say 5 "the main job"
status=0
node examples/github/demo.mjs "$url" || status=$?
# Memory that nobody uses any more is given back after a second.
sleep 3
memory=$(awk '/VmRSS/ {printf "%.0f MB", $2 / 1024}' "/proc/$hub/status" 2>/dev/null || true)
[ -z "$memory" ] || echo "The hub takes $memory of memory now."

if [ -n "${ONCE:-}" ]; then
    exit "$status"
fi
cat <<TEXT

The hub goes on serving at $url until Ctrl-C. Try:
  curl $url/v1/routes
  curl '$url/v1/topics/chat.messages/events?limit=3'
  target/release/sandbar --url $url route list
  target/release/sandbar --url $url dead-letter list
TEXT
trap 'stop; exit '"$status" INT TERM
wait "$hub" || true
exit "$status"
