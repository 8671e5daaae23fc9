# Each target installs missing tools, then runs the CLI or one tool.

PYTHON ?= $(shell command -v python3.13 || command -v python3 || command -v python)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PRODUCT := awscdk awslambda bench cli common django/djambda tests
# The sample has its own checks and tests; a project that replaces it does not need them.
SAMPLE := $(and $(wildcard django/core/pyproject.toml),django/core django/mysite)
.DEFAULT_GOAL := help
.PHONY: help up down wipe test check bench soak format reference tools

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

up: tools  ## Run the whole stack on this machine and print its URL
	@djambda up

down: tools  ## Stop it and keep its data
	@djambda down

wipe: tools  ## Stop it and delete its data
	@djambda down --wipe

test: check  ## Run all checks and tests, as CI does
	@pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(if $(SAMPLE),@pytest -c django/core/pyproject.toml django/core)

check: tools  ## Check style and types
	@ruff check --quiet $(PRODUCT) $(SAMPLE)
	@ruff format --check --quiet $(PRODUCT) $(SAMPLE)
	@mypy
	$(if $(SAMPLE),@cd django && mypy --config-file core/pyproject.toml)

bench: tools  ## Run the benchmarks against peers and write docs/benchmarks.md
	@python -m bench

soak: tools  ## Load a local site for 10 minutes, break something every 20 s, count the losses
	@python -m tests.soak

format: tools  ## Format the code
	@ruff check --fix --quiet $(PRODUCT) $(SAMPLE)
	@ruff format $(PRODUCT) $(SAMPLE)

reference: tools  ## Write docs/reference/commands.md from the commands' help
	@typer djambda_cli.main utils docs --name djambda --title "The djambda command" --output docs/reference/commands.md

tools:
	@test -n "$(PYTHON)" || { echo "Python is not installed. Install Python 3.13 (https://www.python.org/downloads/), then try again."; exit 1; }
	@$(PYTHON) cli/bootstrap.py
