# One command each: `make demo` for the comparison, `make test` for the whole test suite.
# uv sets up the environment where it is installed; venv and pip do where it is not.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check validate bench readme clean-compiled clean

$(STAMP): pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python -e '.[dev]'; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'; \
	fi
	@touch $@

demo: $(STAMP)  ## generate text, run its trace on every machine, write charts and a page to out/
	@$(BIN)/tokenclock compare --out out

test: $(STAMP)  ## the whole test suite, with the style and type checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n 2

check: $(STAMP)  ## style and types only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

DATA ?= ../shared/validation
validate: $(STAMP)  ## hold the simulator against the reference tables in $(DATA); all suites, then the verdict
	@status=0; \
	for suite in systolic cache dram cores; do \
		$(BIN)/tokenclock validate $$suite --data $(DATA)/$$suite || status=1; \
	done; \
	for suite in tpu gpu; do \
		$(BIN)/tokenclock validate $$suite --data $(DATA)/gpu || status=1; \
	done; \
	exit $$status

bench: $(STAMP)  ## time the engine, the comparison and a GPT-3-sized run
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/runs.py
	@$(BIN)/python benchmarks/systolic.py
	@$(BIN)/python benchmarks/cache.py
	@$(BIN)/python benchmarks/dram.py
	@$(BIN)/python benchmarks/tlb.py

readme: $(STAMP)  ## regenerate the README's tables and chart from the code
	@$(BIN)/python -m reports.readme

clean-compiled:  ## forget compiled code: after a change to a module that is inlined into others
	@find sim benchmarks -name '*.nb[ic]' -delete

clean:  ## remove the environment and everything generated
	@rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
