# Paymaster's commands. `make bench` and `make test` set everything up from nothing.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := core envs contracts render equilibria learning baselines views benchmarks results
REFERENCE := results/reference
SUITES ?= $(filter-out quick paper-%,$(sort $(basename $(notdir $(wildcard benchmarks/suites/*.yaml)))))

.PHONY: help setup bench results test test-slow check docs clean
.NOTPARALLEL:

help:           ## say what can be made
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/installed  ## make .venv and install Paymaster with the pinned versions

.venv/installed: setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Paymaster needs Python 3.11 or newer, and $(PYTHON) is %d.%d: run make PYTHON=python3.11 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt --editable '.[dev]'
	$(BIN)/python -m paymaster.benchmarks.compile_ahead  # kernels, in a minute: else each process compiles what it meets first
	@touch $@

bench: setup    ## run the suite `quick` and print its table (two to four minutes)
	$(BIN)/paymaster run quick

results: $(SUITES:%=reference-%)  ## every suite's table and pictures in results/reference, in hours (those of the paper in days: name them); some: make results SUITES="tree matrix"

reference-%: setup  # a suite's runs, as far as they are not made, their table with how it was made, and what pictures there are
	$(BIN)/paymaster run $* --out runs/$*
	@mkdir -p $(REFERENCE)
	$(BIN)/paymaster compare runs/$* --format csv --out $(REFERENCE)/$*.csv
	@for picture in curves.png:.png frontier.png:-frontier.png replay.gif:.gif; do \
		if [ -f runs/$*/$${picture%:*} ]; then cp runs/$*/$${picture%:*} $(REFERENCE)/$*$${picture#*:}; fi; \
	done

test: setup     ## the tests, two to four minutes on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: setup  ## the tests that train for minutes
	$(BIN)/python -m pytest -m slow

check: setup    ## ruff, mypy and the architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf build/typed && mkdir -p build/typed/paymaster  # the checkout is the package: mypy must find it by its name
	@ln -s $(addprefix $(CURDIR)/,$(PACKAGES) $(wildcard *.py)) build/typed/paymaster/
	MYPYPATH=build/typed $(BIN)/mypy -p paymaster
	$(BIN)/lint-imports

docs: setup     ## the pages of games and mechanisms in docs/, from their docstrings
	$(BIN)/python -m paymaster.benchmarks.reports.doc_pages

clean:          ## remove what make made; runs/ stays
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
