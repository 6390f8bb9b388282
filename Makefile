# Everything runs from the project folder, in a virtual environment that these targets make. Setting up twice costs nothing.
PYTHON ?= python3
BIN := .venv/bin
PORT ?=
ON_PORT = $(if $(PORT),--port $(PORT))
MINUTES ?= 10
KILLS ?= 100
DISKS ?= 30
JOBS ?= 1
COUNT ?= 150
SEED ?=
# Two processes: each takes a half of the tests; the one that ends first, some that the other has left. Four are no quicker
# on two cores: the long tests took 1,043 s instead of 690.
TWO := -n 2 --dist worksteal
# What the versions of dependencies can break.
ANY_VERSION := alerts cli/test_main.py model published/test_publish.py published/test_readers.py server/test_http.py server/test_operation.py server/test_service.py transform/rules views warehouse
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: cluster-demo cluster-test cluster-trials docs mutants lowest newest lowest-env newest-env lowest-tests newest-tests help setup setup-dev demo run status status-demo ui ui-demo serve serve-demo test test-long lint types check bench fuzz chaos clean clean-data

# An environment knows its own place, and the Python that it was made with. Where the checkout was moved or copied, or that
# Python is gone, it is made anew; nothing else is touched.
ifneq ($(filter-out help clean clean-data,$(or $(MAKECMDGOALS),help)),)
ifneq ($(wildcard .venv/bin/python .venv/bin/liq .venv/.ready .venv/.ready-dev),)
ifneq ($(shell .venv/bin/python -c pass >/dev/null 2>&1 && { [ ! -e .venv/bin/liq ] || head -n 3 .venv/bin/liq | grep -qF '$(CURDIR)/.venv/bin/python'; } && echo good),good)
$(info The environment in .venv was made elsewhere, or its Python is gone: it is made anew.)
$(shell rm -rf .venv)
endif
endif
endif

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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]' || \
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

status-demo: setup ## the same, of the demo's data
	@$(BIN)/liq status --demo

ui: setup ## Dagster on http://127.0.0.1:3000 (PORT=N), with its schedule and sensor
	@$(BIN)/liq ui $(ON_PORT)

ui-demo: setup ## the same, on the demo's data
	@$(BIN)/liq ui --demo $(ON_PORT)

serve: setup ## the page on http://127.0.0.1:8000 (PORT=N)
	@$(BIN)/liq serve $(ON_PORT)

serve-demo: setup ## the same, on the demo's data
	@$(BIN)/liq serve --demo $(ON_PORT)

test: setup-dev ## the quick tests
	@$(BIN)/python -m pytest $(TWO) -m "not slow and not browser and not whole_run"

test-long: setup-dev ## all others: whole runs, kills, those in a real browser
	@$(BIN)/python -m pytest $(TWO) -m "slow or browser or whole_run"

lint: setup-dev ## style, and who may import whom
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo

types: setup-dev ## type check
	@$(BIN)/mypy

check: setup ## does Dagster find everything?
	@$(BIN)/dagster definitions validate -m liq_pipeline

bench: setup-dev ## speed, as ratios
	@$(BIN)/python -m benchmarks

fuzz: setup-dev ## hostile input for every parser: make fuzz MINUTES=10 SEED=1
	@$(BIN)/python -m liq_pipeline_tests.fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

chaos: setup-dev ## kills, full disks, runs that collide: make chaos KILLS=100 DISKS=30 (needs strace, and root for disks); JOBS=2 KILLS=40: only kills, of `liq run --jobs 2` and its workers
	@$(BIN)/python -m liq_pipeline_tests.chaos --kills $(KILLS) --disks $(DISKS) --jobs $(JOBS)

mutants: setup-dev ## small faults that the tests must notice: make mutants COUNT=150 SEED=1
	@$(BIN)/python -m liq_pipeline_tests.mutants --count $(COUNT) $(if $(SEED),--seed $(SEED))

cluster-demo: setup-dev ## a real cluster on this machine: Postgres, Redis, an S3 store, two workers, 20 symbols; its UI until Ctrl-C (Debian: postgresql, redis-server)
	@$(BIN)/python -m liq_pipeline_tests.cluster demo --keep

cluster-test: setup-dev ## the same, small, with a killed worker and a lost queue; nobody waits for a Ctrl-C
	@$(BIN)/python -m liq_pipeline_tests.cluster identity kills queue --symbols 2 --kills 1

cluster-trials: setup-dev ## everything that can break there: make cluster-trials KILLS=20 (an hour)
	@$(BIN)/python -m liq_pipeline_tests.cluster identity kills database queue store slow network --kills $(KILLS)

docs: setup-dev ## write what is generated anew: docs/checks.md, tables of columns and settings, figures of docs/validation.md
	@$(BIN)/python -m pytest --update-docs liq_pipeline_tests/test_reference.py liq_pipeline_tests/transform/rules/test_checks_page.py liq_pipeline_tests/validation/test_gates.py

lowest: lowest-env ## tests with the lowest versions of the dependencies that pyproject.toml allows
newest: newest-env ## the same with the newest, DuckDB 2.x among them
lowest newest:
	@$(MAKE) --no-print-directory $@-tests
lowest-env: RESOLUTION = lowest-direct
newest-env: RESOLUTION = highest
newest-env: | $(filter lowest-env,$(MAKECMDGOALS)) # both would build the package in one place
lowest-env newest-env: %-env: setup-dev
	@$(BIN)/uv pip compile --quiet --all-extras --no-annotate --resolution $(RESOLUTION) --python-version 3.11 -o .venv/$*.txt pyproject.toml >/dev/null
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/$*
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python .venv/$*/bin/python .venv/$*.txt
	@$(BIN)/uv pip install --quiet --no-deps --python .venv/$*/bin/python -e .
lowest-tests newest-tests: %-tests:
	@NUMBA_CACHE_DIR=$(CURDIR)/.venv/$*/compiled .venv/$*/bin/python -m pytest $(TWO) -m "not slow and not browser" $(addprefix liq_pipeline_tests/,$(ANY_VERSION))

clean: ## remove the environment and caches; data stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

clean-data: ## remove what runs fetched and made; recordings (data/recorded) stay: nothing can bring them back
	rm -rf data/raw data/warehouse data/published data/dagster_home data/alerts data/compiled data/validation data/demo
