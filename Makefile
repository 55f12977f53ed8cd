# `make run` does everything from a bare checkout; `make test` tests it.
PYTHON ?= python3
BIN := .venv/bin
ARTICLE ?= seeds/example.txt
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup run test check fix bench audit

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) found; Slugline needs Python 3.11 or newer"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv (a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@test -d .dvc/tmp || $(BIN)/dvc config --quiet core.analytics false
	@touch $@

run: setup
	@slugline run
	@echo
	@slugline score $(ARTICLE)
	@echo
	@echo "Trained, evaluated and scored. Your own articles:  .venv/bin/slugline score FILE ..."
	@echo "Compare the runs in MLflow:                         .venv/bin/slugline ui"

test: setup
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

check: setup
	@ruff check .
	@ruff format --check .
	@basedpyright
	@lint-imports

fix: setup
	@ruff check --fix .
	@ruff format .

bench: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=26'   # older ones fail on the peers' extras
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@for one in benchmarks/*.py; do echo "== $$one"; $(BIN)/python $$one || exit 1; done

audit: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[audit]'
	@$(BIN)/python .ci/audit.py
