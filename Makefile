# What a person runs. `make demo` needs Python 3.10 or newer (with venv) and nothing else; the rest installs itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The tests start a few hundred processes: whoever keeps Python from remembering what it compiled lets each begin anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types layers check-template tests tests-3.10 package package-check bench measurements simulate breakages kills mutate least-privilege docs locks clean

demo: $(VENV)/.run
	@$(BIN)/orgshare demo

test: lint types layers tests tests-3.10

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

# Every template against the vendor's resource types, and against what this project is.
check-template: $(VENV)/.dev
	$(BIN)/python -m deploy.check

# What Function Compute runs, in dist/: docs/deploy.md says where it goes.
package: $(VENV)/.dev
	$(BIN)/python -m deploy.package

# All packages twice in different folders: equal bytes, and every function runs from them on each Python found here.
package-check: $(VENV)/.dev
	$(BIN)/python -m deploy.trial

# In parallel where there are cores; every test is independent of every other. Neighbours stay together as long as they
# can, so that what a module sets up once is not set up in every process.
tests: $(VENV)/.dev
	$(BIN)/pytest -n auto --dist worksteal

# The deployed code must run on Function Compute's Python 3.10: its tests run there too where a 3.10 is at hand.
tests-3.10: $(VENV)/.dev
	@PYTHON="$(BIN)/python" sh tests/on-python-3.10

bench: $(VENV)/.dev
	$(BIN)/python -m bench

measurements: $(VENV)/.dev
	$(BIN)/python -m bench --write docs/measurements.md

# Whole histories: N of them over all cores, or the one of a SEED, told and shortened. See docs/simulation.md.
N ?= 300
simulate: $(VENV)/.dev
	$(BIN)/python -m simulation $(if $(SEED),--seed $(SEED),--histories $(N))

# Every deliberate breakage of bench/breakages has to be caught.
breakages: $(VENV)/.dev
	$(BIN)/python -m simulation.breakages

# A real apply, killed at fifty random instants: one more makes everything as it should be.
kills: $(VENV)/.dev
	$(BIN)/python -m bench.kills

# Every small change to what decides, guards and remembers has to be noticed, or explained in bench/survivors.yaml.
mutate: $(VENV)/.dev
	$(BIN)/python -m bench.mutate

# With exactly what is granted, in the list and by the templates, everything works; without any one of it something fails.
least-privilege: $(VENV)/.dev
	$(BIN)/python -m bench.privileges

docs: $(VENV)/.dev
	$(BIN)/python -m docs.outputs

# The locks name exact versions with hashes and no host. Each is a part of the one before: what is deployed is what is run,
# and what is run is what is tested.
LOCK := $(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.10 --no-header
locks: $(VENV)/.dev
	$(LOCK) --upgrade --extra dev pyproject.toml -o requirements/dev.lock
	$(LOCK) --upgrade --extra build pyproject.toml -c requirements/dev.lock -o requirements/run.lock
	$(LOCK) --upgrade requirements/deploy.in -c requirements/run.lock -o requirements/deploy.lock

clean:
	rm -rf $(VENV) .venv-3.10 dist build .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "make: $(PYTHON) is missing: install Python 3.10 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "make: $$($(PYTHON) -V) is too old: install Python 3.10 or newer, or name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv: install it (on Debian and Ubuntu the package python3-venv)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/run.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.lock
	@touch $@
