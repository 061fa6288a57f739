# Set-up, demo and checks. Needs Python 3.11 (or 3.12), make and git; everything else comes from the package registries.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
TRITON_VENV := .venv-triton
BIN := $(VENV)/bin
RECIPE ?= recipes/rehearsal.yaml

.PHONY: help setup demo test test-fast test-browser test-faults test-fleet check docs screenshots techniques bench-dedup bench-dedup-scale bench-filters bench-fanout lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready $(TRITON_VENV)/.ready ## Install both locked environments

$(VENV)/.ready: requirements.lock pyproject.toml scripts/install
	@scripts/install $(VENV) requirements.lock $(PYTHON)
	@$(BIN)/python -m infra.prefect_home
	@touch $@

$(TRITON_VENV)/.ready: infra/triton/requirements.lock scripts/install
	@scripts/install $(TRITON_VENV) infra/triton/requirements.lock $(PYTHON)
	@touch $@

demo: setup ## Run recipes/rehearsal.yaml on the embedded Triton to a published release
	@$(BIN)/gristmill run $(RECIPE)

check: setup ## Format, lint, types, import direction
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: check ## All checks and all tests but those of test-fleet
	@$(BIN)/pytest -m "not fleet"

test-fast: check ## All checks and the fast tests
	@$(BIN)/pytest -m "not slow"

test-browser: setup ## The tests that drive Chromium
	@$(BIN)/pytest -m browser

test-faults: setup ## Break everything under a run, and show what became of it
	@$(BIN)/pytest -m faults

test-fleet: setup ## One run over nine hosts (network namespaces; needs root and iproute2), then with one cut off
	@$(BIN)/pytest -m fleet tests/fleet

docs: setup ## Write the generated pages of docs/ anew
	@$(BIN)/python -m cli.reference docs

screenshots: setup ## Take the pictures of Prefect's pages anew
	@$(BIN)/python -m tests.screenshots

techniques: setup ## Rehearse every technique, and write docs/techniques.md with a row of each
	@$(BIN)/gristmill run recipes/all-techniques.yaml
	@$(BIN)/python -m cli.techniques_page docs $${GRISTMILL_DATA:-data}/releases/all-techniques/latest

bench-dedup: setup ## Time dedup beside its peers, at equal parameters
	@$(BIN)/python benchmarks/dedup.py

bench-dedup-scale: setup ## Time dedup at 1, 10 and 100 times a size, and a corpus ten times a worker's memory
	@$(BIN)/python benchmarks/dedup_scale.py

bench-filters: setup ## Time the filters beside datatrove's, on the same texts
	@$(BIN)/python benchmarks/filters.py

bench-fanout: setup ## Drive one local server by our fan-out, a plain openai client and other factories
	@$(BIN)/python benchmarks/fan_out.py

lock: ## Resolve both environments anew
	@uv pip compile pyproject.toml --group dev --universal -p 3.11 --generate-hashes -q --upgrade -o requirements.lock
	@uv pip compile infra/triton/pyproject.toml --universal -p 3.11 --generate-hashes -q --upgrade -o infra/triton/requirements.lock

clean: ## Remove environments and caches; the data folder stays
	@rm -rf $(VENV) $(TRITON_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
