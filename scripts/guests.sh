#!/usr/bin/env bash
# Builds plugins: every package of the workspace whose Cargo.toml says
#
#   [package.metadata.sandbar]
#   guest = true
#
# or only the packages named as arguments; --bundled stands for those with `bundled = true`, which the
# hub's binary carries (host/build.rs). The modules land in target/guests/<package>.wasm; one that comes
# out as it was is not touched, so that the hub is not built anew for nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=wasm32-unknown-unknown
out=target/guests

say() { echo "guests: $*" >&2; }

# The name of each guest package, one a line.
guest_packages() {
    cargo metadata --no-deps --format-version 1 --locked 2>/dev/null || cargo metadata --no-deps --format-version 1
}

# The packages whose manifest says `$1 = true`, one a line.
marked() {
    local manifest
    while IFS= read -r manifest; do
        if sed -n '/^\[package\.metadata\.sandbar\]/,/^$/p' "$manifest" | grep -q "^$1 *= *true"; then
            sed -n 's/^name *= *"\(.*\)"/\1/p' "$manifest" | head -n 1
        fi
    done < <(guest_packages | grep -o '"manifest_path":"[^"]*"' | cut -d '"' -f 4 | sort -u)
}

declare -a packages=()
add_marked() {
    local package
    while IFS= read -r package; do packages+=("$package"); done < <(marked "$1")
}
[ $# -gt 0 ] || add_marked guest
for argument in "$@"; do
    if [ "$argument" = --bundled ]; then
        add_marked bundled
    else
        packages+=("$argument")
    fi
done
if [ ${#packages[@]} = 0 ]; then
    say "no package of the workspace says that it is a guest"
    exit 1
fi

lines=$(scripts/wasm-target.sh)
declare -a WASM_CARGO_FLAGS=()
eval "$lines"

say "building ${packages[*]}"
declare -a selected=()
for package in "${packages[@]}"; do selected+=(-p "$package"); done
cargo build --profile guest --target "$target" ${WASM_CARGO_FLAGS[@]+"${WASM_CARGO_FLAGS[@]}"} "${selected[@]}" >&2

mkdir -p "$out"
for package in "${packages[@]}"; do
    built=${CARGO_TARGET_DIR:-target}/$target/guest/${package//-/_}.wasm
    if [ ! -f "$built" ]; then
        say "$package built no module at $built; is its crate-type \"cdylib\"?"
        exit 1
    fi
    if ! cmp -s "$built" "$out/$package.wasm"; then
        # Not in place: a reader never sees half a module.
        cp "$built" "$out/.$package.wasm.new"
        mv "$out/.$package.wasm.new" "$out/$package.wasm"
    fi
    say "$out/$package.wasm, $(wc -c <"$out/$package.wasm") bytes"
done

# What no package makes any more would hide that it is missing.
if [ $# = 0 ]; then
    for module in "$out"/*.wasm; do
        case " ${packages[*]} " in
            *" $(basename "$module" .wasm) "*) ;;
            *) say "$module is of no package: removed"; rm "$module" ;;
        esac
    done
fi
