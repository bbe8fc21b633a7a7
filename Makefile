# Everything a person needs: `make help`. Set-up is part of each target and is instant once it is done.

PYTHON ?= python3
VENV_PYTHON := .setup/venv/bin/python
LISTEN ?= 127.0.0.1:5433
DATA_DIR ?= data
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-bench demo test serve check format format-check lint dependencies bench

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## fetch and build what is not in the repository: Python packages, ONNX Runtime, models (about 250 MB)
	@$(PYTHON) -m tools.prepare

setup-test: # the same, the node driver, and the peers that tests compare with (another 330 MB)
	@$(PYTHON) -m tools.prepare --tests

setup-bench: # the same and what the benches' data needs
	@$(PYTHON) -m tools.prepare --bench

# A debug build takes a third of a release build's time, and inference runs in ONNX Runtime either way.
demo: setup ## build, run models inside SQL over Delta tables, and print every statement with its result
	cargo build -p alluvia-server
	@$(VENV_PYTHON) -m tools.demo.run target/debug/alluvia

# Some tests kill and restart the real binary; cargo builds it with the tests of its package.
test: setup-test ## all tests: in process, over the wire, and with the drivers of other languages
	cargo test --workspace

serve: setup ## a server on 127.0.0.1:5433 over the folder data, release build; LISTEN=ADDR:PORT DATA_DIR=DIR
	cargo build --release -p alluvia-server
	target/release/alluvia serve --data-dir $(DATA_DIR) --listen $(LISTEN)

check: format-check lint dependencies test ## the gate: formatting, clippy, dependencies, tests; what CI runs

format: ## rewrite the sources in the house's format
	cargo fmt --all

format-check:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets -- -D warnings

dependencies:
	@$(PYTHON) -m tools.check_dependencies

bench: setup-bench ## measure the release build beside its peers in the same run; figures in benches/README.md
	cargo build --release -p alluvia-server
	@$(VENV_PYTHON) -m tools.bench.run target/release/alluvia
