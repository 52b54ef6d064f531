# `make` alone lists what there is. Every target sets up what it needs, and no more.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.done

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(DONE)-stack ## see it run: real messages through a real storage emulator, a crash included (under a minute)
	@$(BIN)/python -m dev.demo $(if $(CHAPTER),--chapter $(CHAPTER))

run: $(DONE)-stack ## start the local stack and leave it running, until Ctrl-C
	@$(BIN)/python -m dev.stack --ready .stack/ready.json

setup: $(DONE)-stack $(DONE)-tests ## set up .venv (with the `reactor` command), the emulator and the test tools

test: setup ## run all tests, and say which guarantee is proven by how many
	@$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder

check: setup ## formatting, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: setup ## format, and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(DONE)-stack ## write anew what the pages and the schema of rules take from the code
	@$(BIN)/python -m dev.reference

bench: $(DONE)-bench ## measure speed against its bars, side by side with others
	@$(VENV)/bench/bin/python -m bench $(if $(JSON),--json $(JSON)) $(if $(ONLY),--only $(ONLY))

scan: setup $(DONE)-scan ## look for known vulnerabilities and for secrets
	@$(BIN)/pip-audit --requirement requirements.txt
	@$(BIN)/detect-secrets-hook --baseline .secrets.baseline $$(git ls-files)

clean: ## remove everything that set-up and the tools made
	rm -rf $(VENV) node_modules .stack build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache

# -- set-up: one stamp for each set of tools, remade when its list changes ---------------------------------------------

PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

$(DONE)-python: dev/find-python
	@python=$$(sh dev/find-python) && echo "Using $$python" && "$$python" -m venv $(VENV)
	@touch $@

$(DONE)-stack: $(DONE)-python requirements.txt dev/requirements.txt pyproject.toml package-lock.json dev/check-node
	@sh dev/check-node
	@echo "Setting up Python packages ..."
	@$(PIP) --requirement requirements.txt --requirement dev/requirements.txt
	@$(PIP) --no-deps --editable .
	@echo "Setting up the storage emulator ..."
	@npm ci --silent --no-audit --no-fund
	@touch $@

$(DONE)-tests: $(DONE)-stack tests/requirements.txt
	@echo "Setting up test tools ..."
	@$(PIP) --requirement tests/requirements.txt
	@touch $@

# Measured in an environment of its own: one of the peers pins versions that the app does not share.
$(DONE)-bench: $(DONE)-stack bench/requirements.txt
	@echo "Setting up the rule engines to measure against ..."
	@$(BIN)/python -m venv $(VENV)/bench
	@$(VENV)/bench/bin/python -m pip install -qq --disable-pip-version-check \
		--requirement requirements.txt --requirement dev/requirements.txt --requirement bench/requirements.txt
	@touch $@

$(DONE)-scan: $(DONE)-python dev/scan-requirements.txt
	@$(PIP) --requirement dev/scan-requirements.txt
	@touch $@

.PHONY: help demo run setup test check fix docs bench scan clean
