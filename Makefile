# Everything runs from the project folder, in a virtual environment that these targets make. Setting up twice costs nothing.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 3000
MINUTES ?= 10
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: help setup setup-dev demo run status ui ui-demo serve serve-demo test test-long lint types check bench fuzz duckdb2 clean

help: ## show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). To do: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "To do: install Python's venv module (Debian: apt-get install python3-venv)"; exit 2; }

.venv/.ready: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serve]'
	@touch $@

.venv/.ready-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch .venv/.ready $@

setup: .venv/.ready ## install what running needs
setup-dev: .venv/.ready-dev ## install what testing needs, too

demo: setup ## the whole chain on a simulated exchange, no network
	@$(BIN)/liq demo

run: setup ## the whole chain on the exchange's archive
	@$(BIN)/liq run

status: setup ## what is published, and how old it is
	@$(BIN)/liq status

ui: setup ## Dagster on http://127.0.0.1:3000, with its schedule and sensor
	@$(BIN)/liq ui --port $(PORT)

ui-demo: setup ## the same, on the demo's data
	@$(BIN)/liq ui --demo --port $(PORT)

serve: setup ## the page on http://127.0.0.1:8000
	@$(BIN)/liq serve

serve-demo: setup ## the same, on the demo's data
	@$(BIN)/liq serve --demo

test: setup-dev ## the tests but for the long ones
	@$(BIN)/python -m pytest -n 2 -m "not slow and not browser"

test-long: setup-dev ## the long tests, and those in a real browser
	@$(BIN)/python -m pytest -n 2 -m "slow or browser"

lint: setup-dev ## style, and who may import whom
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo

types: setup-dev ## type check
	@$(BIN)/mypy

check: setup ## does Dagster find everything?
	@$(BIN)/dagster definitions validate -m liq_pipeline

bench: setup-dev ## speed, as ratios
	@$(BIN)/python -m benchmarks

fuzz: setup-dev ## hostile input for every parser: make fuzz MINUTES=10
	@$(BIN)/python -m liq_pipeline_tests.fuzz --minutes $(MINUTES)

duckdb2: setup-dev ## the tables' tests with the newest DuckDB 2.x
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps --target .venv/duckdb2 'duckdb>=2,<3'
	@PYTHONPATH=.venv/duckdb2 $(BIN)/python -c 'import duckdb; print("DuckDB", duckdb.__version__); assert duckdb.__version__ >= "2"'
	@PYTHONPATH=.venv/duckdb2 $(BIN)/python -m pytest -n 2 -m "not slow and not browser" liq_pipeline_tests/warehouse liq_pipeline_tests/checks

clean: ## remove the environment and everything that runs made
	rm -rf .venv data/raw data/warehouse data/published data/dagster_home data/alerts data/demo
