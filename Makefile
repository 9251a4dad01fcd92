# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOWEST := .venv-lowest/.ready
DEFACE := .venv-deface/.ready
AUDIT := .venv-audit/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-lowest audit conformance fuzz bench bench-deface lint format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

# Pinned versions; the torch pin takes the CPU build where one is offered under that version.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY) ## make .venv with everything, pinned

demo: $(READY) ## restore both sample videos with Ray on this machine; results in out/
	$(BIN)/aminet enhance samples/street.mp4 samples/portrait.mp4 --output out --scale 2 --runner ray --overwrite

test: $(READY) ## the tests that CI runs
	$(BIN)/python -m pytest

test-slow: $(READY) ## heavy end-to-end, fault and compile tests
	$(BIN)/python -m pytest -m slow --timeout 1200

# A venv of its own with the lowest versions that pyproject.toml allows.
$(LOWEST): $(READY) pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	$(BIN)/python -m tools.lowest > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --constraint .venv-lowest/lowest.txt --editable '.[dev]'
	@touch $@

test-lowest: $(LOWEST) ## the tests that CI runs, with the lowest versions of all dependencies
	# Old packages use what newer ones below them, which nothing here pins, call deprecated.
	.venv-lowest/bin/python -m pytest -W ignore::DeprecationWarning

# In a venv of its own, so that its packages are not audited with ours.
$(AUDIT):
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit
	@touch $@

audit: $(AUDIT) ## known defects of the pinned versions; needs the internet
	.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

conformance: $(READY) ## the table of what goes in and what comes out; writes docs/conformance.md
	$(BIN)/python -m tests.conformance.table

fuzz: $(READY) ## damaged sample files through the program, for half an hour; findings in out/fuzz
	$(BIN)/python -m tests.hostile.fuzz --minutes 30

bench: $(READY) ## benchmarks; JSON in tests/bench/results
	$(BIN)/python -m pytest -m bench --timeout 3600

# A peer for comparison, in a venv of its own: nothing of ours depends on it.
$(DEFACE):
	$(PYTHON) -m venv .venv-deface
	.venv-deface/bin/python -m pip install --quiet deface onnx onnxruntime
	@touch $@

bench-deface: $(READY) $(DEFACE) ## nine cases through us and through deface; JSON in tests/bench/results
	$(BIN)/python -m pytest -m bench tests/bench/test_deface.py --timeout 3600

lint: $(READY) ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(READY) ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove everything made here
	rm -rf $(VENV) .venv-deface .venv-lowest .venv-audit out build dist .pytest_cache .ruff_cache .hypothesis
