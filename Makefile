# Every target sets itself up: `make demo` on a fresh machine needs Python 3.11+ and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEPS   := $(VENV)/.installed
LOWEST := $(VENV)/lowest/.installed
# Test workers: one per core, four at most.
JOBS   ?= $(shell $(PYTHON) -c "import os; print(min(4, os.cpu_count() or 1))")

.PHONY: help demo test mutations examples lowest check docs format bench clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(DEPS): pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Reacquire needs Python 3.11 or newer; give one as make PYTHON=python3.12 …')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -c "from tracker.warm import warm_up; list(warm_up(['reacquire']))"
	@touch $@

demo: $(DEPS)  ## track the bundled clip with the bundled weights
	$(BIN)/reacquire demo

test: $(DEPS)  ## run the tests
	$(BIN)/python -m pytest -q -n $(JOBS) --ignore tests/mutations --ignore tests/examples

mutations: $(DEPS)  ## give every reader of files hundreds of damaged ones
	$(BIN)/python -m pytest -q -n $(JOBS) tests/mutations

examples: $(DEPS)  ## type what the documents say, and run the notebooks
	$(BIN)/python -m pytest -q tests/examples

$(LOWEST): $(DEPS)
	rm -rf $(@D)
	$(BIN)/python -m pip install --quiet --target $(@D) $$($(BIN)/python -m tools.lowest_versions live pydantic)
	@touch $@

lowest: $(LOWEST)  ## the page's tests with the lowest versions of its packages, laid over those that are installed
	PYTHONPATH=$(abspath $(<D)):$(CURDIR) $(BIN)/python -m pytest -q -n $(JOBS) tests/tracker/live/web $(addprefix --ignore=tests/tracker/live/web/,test_page.py test_service.py)

check: $(DEPS)  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DEPS)  ## build the site into site/, from the documents and the code
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build --clean

format: $(DEPS)  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEPS)  ## speed beside the peers, on this machine
	$(BIN)/python -m tools.benchmarks.bench_pipeline
	$(BIN)/python -m tools.benchmarks.bench_association
	$(BIN)/python -m tools.benchmarks.bench_camera
	$(BIN)/python -m tools.benchmarks.bench_evaluation
	$(BIN)/python -m tools.benchmarks.bench_mining
	$(BIN)/python -m tools.benchmarks.bench_embedder
	$(BIN)/python -m tools.benchmarks.bench_reid_evaluation

clean:  ## remove what the other targets made
	rm -rf $(VENV) runs site build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
