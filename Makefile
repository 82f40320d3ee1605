# One verb a task; the work is in scripts/. `make help` lists the verbs.
PYTHON ?= python3
VENV := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-cluster bench-50k docs lock clean ready ready-dev

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: ready ## install what is needed, build the web assets, start the server
	@$(VENV) -m scripts.web build
	@exec $(VENV) -m unique_cs serve

test: ready-dev ## run every test (ARGS="-k name" goes to pytest)
	@$(VENV) -m scripts.test $(ARGS)

check: ready-dev ## linters, types, import rules, sizes
	@$(VENV) -m scripts.check

bench: ready ## measure this machine (ARGS="…" goes to unique-cs bench)
	@$(VENV) -m unique_cs bench $(ARGS)

bench-cluster: ready-dev ## measure messages, overload and pages of one and of two nodes over Redis and MariaDB
	@$(VENV) -m bench.cluster $(ARGS)

bench-50k: ready-dev ## measure 50,000 connections over four workers, Redis and MariaDB
	@$(VENV) -m bench.fifty $(ARGS)

nemesis: ready-dev ## break a cluster for a while (MINUTES=60 SEED=7)
	@$(VENV) -m scripts.nemesis $(or $(MINUTES),10) $(SEED)

docs: ready-dev ## build the documentation into site/
	@.venv/bin/zensical build --clean

lock: ready-dev ## pin the dependencies anew
	@$(VENV) -m scripts.lock

clean: ## remove what was built and cached; data and .venv stay
	@rm -rf site dist build src/unique_cs/api/assets src/unique_cs/v1 web/node_modules
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis .cache

ready:
	@$(PYTHON) -m scripts.bootstrap run

ready-dev:
	@$(PYTHON) -m scripts.bootstrap dev
