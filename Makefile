# The commands of the README. Each makes its own virtual environment when there is none yet.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-fast check

demo: $(BIN)/lmgen
	$(BIN)/lmgen train --minutes 1 --out checkpoints/demo --overwrite
	$(BIN)/lmgen sample checkpoints/demo --prompt "The " --length 300 --temperature 0.7 --seed 1
	@echo
	$(BIN)/lmgen sample checkpoints/demo --prompt "A class is " --length 200 --temperature 0.5 --seed 2
	@echo
	$(BIN)/lmgen perplexity checkpoints/demo

# A worker for each core; tests/conftest.py gives each one thread.
test: $(BIN)/pytest
	$(BIN)/pytest -n auto

test-fast: $(BIN)/pytest
	$(BIN)/pytest -n auto -m "not slow"

check: $(BIN)/pytest
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/lmgen: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(BIN)/pytest: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
