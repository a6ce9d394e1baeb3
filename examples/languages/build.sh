#!/usr/bin/env bash
# Builds and tests the examples as their sandbar-plugin.toml says, with what setup.sh installed. What did
# not change since the last time is left as it is.
#
#   examples/languages/build.sh            all languages
#   examples/languages/build.sh c go       these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

root=$(cd ../.. && pwd)
PATH=$root/.build/languages/venv/bin:$PATH

log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { echo "languages: $*" >&2; }

# The text of a key within a section of sandbar-plugin.toml.
entry() {
    sed -n "/^\[$2\]/,/^\[/s/^$3 *= *\"\(.*\)\".*/\1/p" "$1/sandbar-plugin.toml"
}

# Whether nothing was touched since the stamp was written.
unchanged() {
    [ -f "$2" ] && [ -f "$1/build/.built" ] &&
        [ -z "$(find "$1" \( -name build -o -name node_modules -o -name __pycache__ \) -prune -o -type f -newer "$1/build/.built" -print -quit)" ]
}

languages=("$@")
[ $# -gt 0 ] || languages=(rust javascript typescript python go c assemblyscript)
at=0
for language in "${languages[@]}"; do
    at=$((at + 1))
    step="[$at/${#languages[@]}] $language"
    [ -f "$language/sandbar-plugin.toml" ] || { say "there is no example in $language"; exit 1; }
    if [ "$language" = rust ]; then
        # A member of the workspace: built with the other guests, and tested with everything else.
        say "$step: scripts/guests.sh order-invoice"
        "$root/scripts/guests.sh" order-invoice
        continue
    fi
    output=$language/$(entry "$language" build output)
    if unchanged "$language" "$output"; then
        say "$step: $output is up to date"
        continue
    fi
    for section in build test; do
        command=$(entry "$language" "$section" command)
        say "$step: $command"
        if ! (cd "$language" && PYTHONDONTWRITEBYTECODE=1 sh -c "$command") >"$log" 2>&1; then
            cat "$log" >&2
            say "$language: '$command' failed in examples/languages/$language (did setup.sh run?)"
            exit 1
        fi
    done
    touch "$language/build/.built"
    say "$output, $(wc -c <"$output") bytes"
done
