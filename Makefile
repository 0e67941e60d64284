# Everything starts here: `make run`, `make test`, `make check`, `make bench`.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then command -v $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
RASA_VENV ?= .venv-rasa
export HF_HUB_OFFLINE = 1
export RASA_TELEMETRY_ENABLED = false
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help run setup test test-slow check bench clean

help:
	@echo "make run     set up what is missing and start everything"
	@echo "make test    set up what is missing and run all tests but the slow ones"
	@echo "make test-slow  run those: public chat widgets and newest browser data (npm), moodbot with its"
	@echo "             own pipeline, public assistants (clones of them in the folder FOREIGN_PROJECTS)"
	@echo "make check   lint, types, import rules, documented commands and settings"
	@echo "make bench   measure overhead, relay times, throughput, learning time"
	@echo "make clean   remove both environments and all local data"

$(VENV)/.made: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Handoff Desk needs Python 3.11 or newer, and none was found."; exit 1; }
	@echo "→ Main environment: $$($(PYTHON) --version), a few minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# Torch first and pinned: a CPU build on disk is taken where there is one.
	@$(BIN)/python -m pip install -q torch==2.13.0
	@$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

$(RASA_VENV)/.made: bot/requirements.txt bot/requirements-dev.txt bot/make_environment.sh
	@bash bot/make_environment.sh $(RASA_VENV)
	@touch $@

setup: $(VENV)/.made $(RASA_VENV)/.made
	@$(BIN)/handoff encoder

run: setup
	@exec $(BIN)/handoff up

test: setup
	@$(BIN)/python -m pytest $(ARGS)
	@echo "Left out: the slow tests, with public chat widgets (npm) and assistants (FOREIGN_PROJECTS). Run them with make test-slow."

test-slow: setup
	@$(BIN)/python -m pytest -m slow $(ARGS)

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/docs

bench: setup
	@$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) $(RASA_VENV) var
