# Every target does its own set-up. `make` alone prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv installs in seconds what pip installs in a minute; it honours pip's index here.
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
export UV_PYTHON_DOWNLOADS = never
ifeq ($(UV_DEFAULT_INDEX),)
unexport UV_DEFAULT_INDEX
endif

$(VENV)/.uv: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Lakelet needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. Point PYTHON at another: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.base: $(VENV)/.uv requirements/base.txt pyproject.toml
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/base.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements/dev.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: help demo aws-demo test lint format bench crash lock clean

demo: $(VENV)/.base ## The main job, to watch: traffic in at the Firehose door, SQL out at the Athena door (ONCE=1 ends it)
	@$(BIN)/lakelet demo $(if $(ONCE),--once)

aws-demo: $(VENV)/.dev ## The same pipeline deployed into an AWS emulator
	@$(BIN)/python -m lakelet.aws.demo

test: $(VENV)/.dev ## Lint, types, import contract and every test
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -n $(or $(JOBS),2) --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.dev ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: $(VENV)/.dev ## Every benchmark, side by side; bench/README.md keeps the results
	@for b in ingest transform query crawl store node; do echo "== $$b"; $(BIN)/python bench/$$b.py || exit 1; done

crash: $(VENV)/.dev ## kill -9 under load, N rounds, then audit (N=200 SEED=…)
	@$(BIN)/python -m tests.crash --rounds $(or $(N),20) $(if $(SEED),--seed $(SEED))

lock: $(VENV)/.uv ## Pin the requirements again, with hashes
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml requirements/build.in --group dev --extra aws -o requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml requirements/build.in -c requirements/dev.txt -o requirements/base.txt

clean: ## Remove the virtual environment and what tests left behind
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-data

help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-9s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
