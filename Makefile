# The one interface to this repository: people and CI call the same targets.
# Each target makes the virtual environment and installs what it needs; a second run does not.

VENV    ?= .venv
# An interpreter of your own choice: make test PYTHON=/path/to/python3.13
PYTHON  ?=
# Benchmarks to run; all by default.
NAMES   ?=
# make counts UPDATE=--update writes the record anew.
UPDATE  ?=
# Processes that run the tests.
WORKERS ?= 2
# make demo DATA=deals.csv ARGS="--preset salesforce"
DATA    ?=
ARGS    ?=
# Where the public data sets of the examples are, one folder each.
SHARED  ?= ../shared/data

BIN     := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard tests/plugins/*/pyproject.toml))

# What each target installs beside the package itself.
install_demo  := -e '.[cli]'
install_deep  := -e '.[cli,testing]' --group deep $(addprefix -e ./,$(PLUGINS))
install_cluster := -e '.[arrow,dask,testing]'
install_test  := -e '.[cli,testing]' --group test $(addprefix -e ./,$(PLUGINS))
install_lint  := -e . --group lint
install_types := -e '.[cli,testing]' --group types
install_docs  := -e '.[cli,testing]' --group docs
install_bench := -e '.[arrow]' --group bench
install_counts := -e . --group counts

# Branches of these are covered to the last one: everything else rests on them.
FULLY_COVERED := */kernels/*,*/rules.py,*/stages.py,*/stages/*,*/calendars.py,*/calendars/*,*/opportunity.py

PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input
# One process of tests per core is enough: more threads of BLAS only wait for one another.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: all bench bench-quick bench-scripts clean count-instructions counts deep deep-tests demo docs examples fmt help lint test types

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 13

demo: $(VENV)/.demo ## forecast a simulated company, or your own file: make demo DATA=deals.csv
	@mkdir -p demo
ifeq ($(DATA),)
	$(BIN)/funnel simulate --output demo/history.csv
	$(BIN)/funnel forecast demo/history.csv --funnel demo/funnel.json --periods 4q --output demo $(ARGS)
else
	$(BIN)/funnel forecast "$(DATA)" --periods 4q --output demo $(ARGS)
endif

test: $(VENV)/.test ## run the tests and every example in a docstring, with branch coverage
	@$(PYTEST) --cov --cov-report=term
	@$(BIN)/coverage report --include='$(FULLY_COVERED)' --fail-under=100 > $(VENV)/coverage.txt \
	  || { echo 'These files must be covered to the last branch:'; cat $(VENV)/coverage.txt; exit 1; } >&2

cluster: $(VENV)/.cluster ## run the tests on a cluster: a scheduler and two workers on this machine
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster tests/cluster

# In an environment of its own: the libraries that are oracles want an older pandas.
deep: | $(BIN)/python ## run the property tests with thousands of examples, the slow tests, the oracles
	@$(MAKE) --no-print-directory VENV=$(VENV)/deep deep-tests

deep-tests: $(VENV)/.deep
	HYPOTHESIS_PROFILE=deep $(PYTEST) -m 'deep or hypothesis'

fmt: $(VENV)/.lint ## format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.lint ## check style, layers and change-log fragments
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	@$(BIN)/towncrier build --draft --version next > $(VENV)/changes.txt 2>&1 \
	  || { cat $(VENV)/changes.txt; exit 1; } >&2

types: $(VENV)/.types ## check the types, of the package and as a user's editor sees it
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.docs ## build the documentation and run its examples; warnings are errors
	rm -rf docs/_build docs/reference/generated
	$(BIN)/sphinx-build -n -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/sphinx-build -n -W --keep-going -q -b doctest docs docs/_build/doctest

# In an environment of its own: some of the peers want an older pandas.
bench: | $(BIN)/python ## measure speed beside other tools; NAMES="forecast log" for some scripts
	@$(MAKE) --no-print-directory VENV=$(VENV)/bench bench-scripts

bench-quick: | $(BIN)/python ## the same with small tables, in under three minutes
	@$(MAKE) --no-print-directory VENV=$(VENV)/bench QUICK=--quick bench-scripts

bench-scripts: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py $(QUICK) $(NAMES)

# In an environment of its own: counts hold for the versions in their record only.
counts: | $(BIN)/python ## check that kernels take no more instructions than recorded
	@$(MAKE) --no-print-directory VENV=$(VENV)/counts count-instructions

count-instructions: $(VENV)/.counts
	$(BIN)/python benchmarks/counts.py $(UPDATE)

examples: $(VENV)/.demo ## run the examples on the public data sets, where they are at hand
	@for pair in loan_applications:bpi2012 crm_opportunities:crm_sales_opportunities \
	  olist_leads:olist_marketing_funnel; do \
	  script="examples/$${pair%%:*}.py"; folder="$(SHARED)/$${pair##*:}"; \
	  if [ -d "$$folder" ]; then \
	    echo "$(BIN)/python $$script $$folder"; \
	    $(BIN)/python -W error "$$script" "$$folder" || exit 1; \
	  else echo "skipped $$script: there is no folder $$folder (set SHARED=)"; fi; \
	done

all: lint types docs examples cluster counts test ## everything that CI checks

clean: ## remove everything that these targets made
	rm -rf $(VENV) demo dist docs/_build docs/reference/generated
	rm -rf .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up --------------------------------------------------------------------------------------

# The first Python that is new enough and can make a virtual environment.
$(BIN)/python:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	  if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; \
	  then echo "Making $(VENV) with $$python"; exec "$$python" -m venv --clear $(VENV); fi; \
	done; \
	echo 'No Python >= 3.11 that has the modules venv and ensurepip was found.' >&2; \
	echo 'Install one (Debian, Ubuntu: apt install python3 python3-venv), or name it:' >&2; \
	echo '  make $(or $(MAKECMDGOALS),test) PYTHON=/path/to/python3' >&2; \
	exit 1

# Dependency groups need a pip that knows them; the one that comes with Python 3.11 does not.
$(VENV)/.pip: | $(BIN)/python
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

# One stamp for what each target installs; a change of the requirements makes it stale.
$(VENV)/.%: pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS)) | $(VENV)/.pip
	@echo 'Installing what `make $*` needs (the first time takes a minute)'
	@$(PIP) install --quiet $(install_$*)
	@touch $@
