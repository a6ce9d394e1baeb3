# What can be done here. `make demo` and `make test` install what they need.

SHELL := /bin/bash
.DEFAULT_GOAL := help
export CARGO_TERM_COLOR ?= auto

# Always `--workspace`: a package by itself has other features, and wasmtime would be compiled once more.

.PHONY: help demo test lint bench soak fuzz build guests languages clients clean

help:
	@echo "make demo      install, build, run the main job on real data, go on serving (ONCE=1 ends; PORT=7401)"
	@echo "make test      install, build, run every test"
	@echo "make lint      format, clippy, cargo deny, documentation"
	@echo "make bench     the benchmarks of docs/benchmarks.md"
	@echo "make soak      a thousand kills under load; 200,000 pairs of schemas"
	@echo "make fuzz      fuzz what an upload goes through, until Ctrl-C (SECONDS_TO_FUZZ=600)"
	@echo "make build     the hub with its plugins: target/release/sandbar"
	@echo "make guests    all plugins: target/guests/*.wasm"
	@echo "make languages the example in seven languages: examples/languages/*/build/plugin.wasm"

demo:
	@ONCE='$(ONCE)' PORT='$(PORT)' scripts/demo.sh

# The hub's binary carries plugins: they come first.
build:
	@scripts/guests.sh --bundled
	cargo build --release --workspace --bin sandbar

guests:
	scripts/guests.sh

languages:
	@examples/languages/setup.sh
	@examples/languages/build.sh

clients:
	@tests/clients/setup.sh
	@npm ci --prefix examples/github --silent --no-audit --no-fund
	@node examples/github/setup.mjs

test:
	@echo "[1/6] plugins (the wasm32 target is installed where it is missing)"
	@scripts/guests.sh
	@echo "[2/6] the example in seven languages (their compilers are installed where they are missing)"
	@$(MAKE) --no-print-directory languages
	@echo "[3/6] client libraries for the conformance tests, and the example's data"
	@$(MAKE) --no-print-directory clients
	@echo "[4/6] the hub (a cold build takes some ten minutes on two cores)"
	@cargo build --release --workspace --bin sandbar
	@echo "[5/6] all tests"
	@cargo test --release --workspace --no-fail-fast
	@echo "[6/6] the same mutations of uploads at every run (wasmtime is compiled once more, some five minutes cold)"
	@scripts/fuzz.sh --fixed

lint:
	@scripts/lint.sh

bench: guests build
	cargo bench --workspace --bench log --profile release
	cargo bench --workspace --bench filter --profile release
	cargo bench --workspace --bench boundary --profile release
	target/release/sandbar bench
	target/release/sandbar bench --concurrency 1 --events 50000
	target/release/sandbar bench push
	target/release/sandbar bench pull
	target/release/sandbar bench contracts
	target/release/sandbar bench hostile
	target/release/sandbar bench plugins

fuzz:
	@scripts/fuzz.sh

soak: guests build
	SANDBAR_COMPAT_PAIRS=200000 cargo test --release --workspace --test compat soundness -- --nocapture
	SANDBAR_KILLS=1000 cargo test --release --workspace --test durability kill -- --nocapture

clean:
	cargo clean
	rm -rf .build examples/languages/*/build examples/languages/*/node_modules examples/github/build examples/github/node_modules tests/clients/node_modules
