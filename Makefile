# Everything runs in a virtual environment of its own, .venv, made by the first target that needs it and brought up to
# date whenever setup.cfg or pyproject.toml is newer than what was installed from it.
#
#   make PYTHON=python3.12 …     another interpreter        make test ARGS='-k picker'     some tests

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BENCH_PAIRS ?= p2pshare,libtorrent,libtorrent:p2pshare,p2pshare:libtorrent,ctorrent:p2pshare,ctorrent:libtorrent,aria2

bin := $(VENV)/bin
# In this mode the checkout itself is on sys.path; the default one would hide twisted/plugins (docs/adr/0001).
install := $(bin)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat

.DEFAULT_GOAL := help
.PHONY: help venv install demo test check bench crash clean
.DELETE_ON_ERROR:

help:
	@echo 'make install   make .venv and install p2pshare into it: .venv/bin/p2pshare, .venv/bin/twistd'
	@echo 'make demo      share a file from one peer to others on this machine, and show it happening'
	@echo 'make test      run all tests (parts that need a program you lack say so and are skipped)'
	@echo 'make check     lint, formatting and types'
	@echo 'make bench     measure this machine; results go to benchmarks/results/'
	@echo 'make crash     kill downloads a thousand times, and count what was lost'
	@echo 'make clean     remove .venv and everything that was built'

venv: $(bin)/python

install: $(VENV)/.installed
	@echo 'Installed. Try: $(bin)/p2pshare --help'

demo: $(VENV)/.installed
	$(bin)/p2pshare demo

test: $(VENV)/.installed-test
	$(bin)/python -m pytest -rs $(ARGS)

check: $(VENV)/.installed-dev
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy p2pshare

# Short runs of everything; longer ones: $(bin)/python -m benchmarks.transfer --help. One that exceeds a limit does not
# keep the others from running.
bench: $(VENV)/.installed-test
	@failed=; \
	for run in \
	  'codec' \
	  'picker --repeats 5' \
	  'transfer --size 512M --pairs $(BENCH_PAIRS)' \
	  'transfer --size 128M --swarm 4 --pairs p2pshare,libtorrent,aria2' \
	  'transfer --size 64M --files 2000 --pairs p2pshare,libtorrent' \
	  'latency' \
	  'hashing --size 512M --piece-length 64K,1M --runs 3' \
	  'http_download --size 512M --runs 3' \
	  'search --files 20000 --questions 1000' \
	  'swarm_store --peers 100000 --swarms 1000'; \
	do echo "== $$run"; $(bin)/python -m benchmarks.$$run || failed="$$failed $${run%% *}"; done; \
	test -z "$$failed" || { echo "beyond a limit, or failed:$$failed" >&2; exit 1; }

crash: $(VENV)/.installed-test
	$(bin)/python -m tests.system.crash --kills 1000 $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache _trial_temp* _pytest_temp
	find p2pshare tests twisted benchmarks \( -name __pycache__ -o -name dropin.cache \) -prune -exec rm -rf {} +

$(bin)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'p2pshare needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: its module ensurepip or venv is missing." >&2; \
	  echo 'On Debian and Ubuntu: sudo apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(bin)/python
	$(install) --editable .
	@touch $@

$(VENV)/.installed-%: setup.cfg pyproject.toml | $(bin)/python
	$(install) --editable '.[$*]'
	@touch $@ $(VENV)/.installed
