# The commands of the documentation. Each makes its own virtual environment when there is none yet.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-fast test-lowest check docs

# What depends most on other packages: the command line, files, downloads, tokenizers, arithmetic, one training.
LOWEST_TESTS = tests/test_files.py tests/test_settings.py tests/cli/test_app.py tests/cli/test_values.py \
	tests/cli/test_completion.py tests/text/test_download.py tests/tokenizers/test_sentencepiece_model.py \
	tests/models/ngram/test_arpa_writing.py tests/models/test_model_file.py tests/training/test_loop.py \
	tests/vectors/test_training.py tests/vectors/test_picture.py tests/compression/test_coder.py \
	tests/serving/test_engine.py tests/serving/test_api.py tests/report/test_page.py

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

# With the lowest versions that pyproject.toml allows, in an environment that has nothing else.
test-lowest: $(VENV)-lowest/bin/pytest
	OMP_NUM_THREADS=1 $(VENV)-lowest/bin/pytest $(LOWEST_TESTS)

check: $(BIN)/pytest
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Every warning is an error, and so is every link that leads nowhere.
docs: $(BIN)/sphinx-build
	$(BIN)/sphinx-build -q -W --keep-going -n -b html docs docs/_build
	@echo "docs/_build/index.html"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/lmgen: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(BIN)/pytest: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,vectors,compress,report,serve,tensorboard]'
	@touch $@

$(BIN)/sphinx-build: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

$(VENV)-lowest/bin/pytest: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet -c constraints-lowest.txt -e '.[vectors,compress,report,serve,tensorboard]' httpx2 hypothesis pytest pytest-timeout
	@touch $@
