# Vigia. `make` or `make help` says what there is; everything works a second time without doing anything twice.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test lint accuracy clean

# Arguments for `vigia demo`, e.g. make run ARGS='--headless --seconds 60'
ARGS ?=
# Folder of ground truth (SEQUENCE/gt/gt.txt, SEQUENCE/seqinfo.ini) for `make accuracy`
GT ?=

export CARGO_TERM_COLOR ?= auto
# GStreamer and Wayland want a private folder; a login session has one, a build machine may not.
private_runtime_dir = if [ -z "$${XDG_RUNTIME_DIR:-}" ]; then \
  export XDG_RUNTIME_DIR="/tmp/vigia-runtime-$$(id -u)"; mkdir -p -m 700 "$$XDG_RUNTIME_DIR"; \
  [ -O "$$XDG_RUNTIME_DIR" ] || { echo "$$XDG_RUNTIME_DIR belongs to somebody else: set XDG_RUNTIME_DIR" >&2; exit 1; }; fi

help: ## what can be made
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 18

setup: ## install what is missing: packages, libtorch, weights, footage
	@tools/setup

run: setup ## build and open the console on the demo site (ARGS='…' for more)
	@cargo build --release --locked
	@$(private_runtime_dir); exec target/release/vigia demo $(ARGS)

lint: setup ## formatting, lints, licences
	@echo; echo '== formatting'; cargo fmt --check
	@echo; echo '== licences'; python3 tools/check-licences --self-test && python3 tools/check-licences
	@echo; echo '== lints'; cargo clippy --all-targets --locked -- -D warnings

test: lint ## every check and every test
	@echo; echo '== tests'; $(private_runtime_dir); cargo test --locked

accuracy: setup ## HOTA, IDF1, MOTA of the tracker on the demo footage (GT=folder of ground truth)
	@cargo build --release --locked
	@$(private_runtime_dir); tools/evaluate vtest --gt "$(GT)"

clean: ## remove what was built (what was installed stays)
	@cargo clean
