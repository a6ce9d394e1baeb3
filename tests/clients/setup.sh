#!/usr/bin/env bash
# Installs what the conformance tests run with: the CloudEvents SDKs of npm and PyPI and validators of
# OpenAPI and AsyncAPI documents, all pinned; and the schemas that examples/github applies, which a test does too.
# node_modules here and in examples/github, and .build/venv in the root of the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for tool in node npm python3; do
    command -v "$tool" >/dev/null || { echo "clients: $tool is needed and not there" >&2; exit 1; }
done

echo "clients: npm"
npm ci --prefix tests/clients --ignore-scripts --silent --no-audit --no-fund
npm ci --prefix examples/github --silent --no-audit --no-fund
node examples/github/setup.mjs

venv=.build/venv
wanted=$(cat tests/clients/requirements.txt)
if [ "$(cat "$venv/requirements.installed" 2>/dev/null)" != "$wanted" ]; then
    echo "clients: PyPI, into $venv"
    rm -rf "$venv"
    mkdir -p .build
    # Some distributions ship Python without venv; virtualenv does the same.
    python3 -m venv "$venv" 2>/dev/null || {
        rm -rf "$venv"
        python3 -m pip install --quiet --target .build/virtualenv virtualenv
        PYTHONPATH=.build/virtualenv python3 -m virtualenv --quiet "$venv"
    }
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
    printf '%s\n' "$wanted" > "$venv/requirements.installed"
fi
