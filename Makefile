# Everything a developer does, by name. `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install run test soak ui lint lock licences clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Byte code is wanted: without it every process starts two to three times slower.
unexport PYTHONDONTWRITEBYTECODE
export DAGSTER_HOME ?= $(CURDIR)/.dagster
ARGS ?=

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## the environment in .venv, from requirements.lock; the other targets do it when needed

$(STAMP): requirements.lock pyproject.toml
	@set -e; \
	if ! $(BIN)/python -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then \
	  for python in python3.12 python3.11 python3 python; do \
	    if command -v $$python >/dev/null && \
	       $$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then \
	      found=$$python; break; \
	    fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "error: Python 3.11 or 3.12 with its venv module is needed and was not found on the PATH; install it, then run make again." >&2; \
	    exit 2; \
	  fi; \
	  echo "making $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV); \
	fi
	@echo "installing from requirements.lock (once)"
	@# uv takes a tenth of pip's time; where it can't (an index that pip alone is told of), pip does.
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes \
	  -r <(awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock)
	@$(BIN)/uv pip install --python $(BIN)/python --system-certs --require-hashes --compile-bytecode --quiet \
	  -r requirements.lock || \
	  $(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q hokusai_validation hokusai_sandbox
	@touch $(STAMP)

run: $(STAMP)  ## the sandbox up, the eight phases, the verdict (ARGS="--no-load" and so on)
	@HOKUSAI_PARENT_PID=$$PPID exec $(BIN)/hokusai-validation run $(ARGS)

# In two parts: what may share the machine, each process with a sandbox of its own, and what runs alone. With
# ARGS one of them may choose nothing.
test: $(STAMP)  ## the project's tests, with a short sample of every long one
	@failed=0; \
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not soak and not alone" $(ARGS) || [ $$? = $(if $(ARGS),5,0) ] || failed=1; \
	$(BIN)/python -m pytest -m "not soak and alone" $(ARGS) || [ $$? = $(if $(ARGS),5,0) ] || failed=1; \
	exit $$failed

soak: $(STAMP)  ## the long repetitions: kills, random orders, all mutants, all scenarios
	@exec $(BIN)/python -m pytest -m soak $(ARGS)

ui: $(STAMP)  ## the sandbox up, and Dagster's UI with the run history on 127.0.0.1
	@HOKUSAI_PARENT_PID=$$PPID exec $(BIN)/hokusai-validation ui $(ARGS)

lint: $(STAMP)  ## what CI checks beside the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-strip-extras --quiet

lock: $(STAMP)  ## requirements.lock and deploy/requirements.lock anew, from pyproject.toml
	@$(LOCK) --all-extras -o requirements.lock
	@$(LOCK) --extra build -c requirements.lock -o deploy/requirements.lock

licences: $(STAMP)  ## docs/licences.md anew
	@{ printf '# Licences\n\nOf every package in `requirements.lock`, made by `make licences`. The package itself is under Apache-2.0.\n\n'; \
	  $(BIN)/pip-licenses --format=markdown --order=name --from=mixed --ignore-packages hokusai-validation; } > docs/licences.md

clean:  ## everything that can be made again, results and run history kept
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .sandbox
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
