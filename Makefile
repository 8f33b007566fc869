# Each target does its own set-up; a second start takes seconds.
PYTHON ?= python3
BIN := .venv/bin
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm --prefix frontend
FRONTEND := frontend/package.json frontend/package-lock.json frontend/vite.config.ts frontend/tsconfig.json $(shell find frontend/src -type f)

.PHONY: run test proof bench lint types format setup clean

run: setup
	@exec $(BIN)/python manage.py up

test: setup-dev
	$(BIN)/python tests/browser.py
	$(BIN)/pytest --numprocesses 2 --dist loadfile tests/simcore tests/workers tests/studio $(ARGS)
	TEST_DATABASE=postgresql $(BIN)/pytest --numprocesses 2 --dist loadfile tests/studio --ignore tests/studio/study/statistics $(ARGS)
	$(BIN)/pytest tests/e2e $(ARGS)

proof: setup-dev
	$(BIN)/python tests/browser.py
	$(BIN)/pytest tests/proof $(ARGS)

bench: setup-dev
	$(BIN)/python tests/bench/overhead.py
	$(BIN)/python tests/bench/live.py
	$(BIN)/python tests/bench/digits.py
	$(BIN)/python -m simcore ablate --base digits-demo --iterations 500 --seeds 3 --out var/bench/ablation

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p simcore -p studio -p workers
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --format openapi-json --file frontend/openapi.json
	$(NPM) run types -- --check
	$(NPM) run check
	$(NPM) test

# The TypeScript types of the API, after its endpoints have changed.
types: setup-dev
	$(BIN)/python manage.py spectacular --format openapi-json --file frontend/openapi.json
	$(NPM) run types

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: .venv/installed frontend/dist/manifest.json

.PHONY: setup-dev
setup-dev: .venv/installed-dev frontend/dist/manifest.json

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "SIM Studio needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing: on Debian, install python3-venv"; exit 1; }

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

frontend/node_modules/installed: .venv/installed frontend/package.json frontend/package-lock.json
	$(NPM) ci --no-audit --no-fund --silent
	@touch $@

frontend/dist/manifest.json: frontend/node_modules/installed $(FRONTEND)
	$(NPM) run --silent build

clean:
	rm -rf .venv frontend/node_modules frontend/dist
