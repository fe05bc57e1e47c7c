# `make up` starts everything; `make test` tests it. Both need Python 3.11 or later, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

# Compiled modules make every start faster; this variable would forbid them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: up test lint lock frontend bench
.DEFAULT_GOAL := up

up: $(VENV)/.runtime
	@exec $(BIN)/python manage.py up

test: $(VENV)/.development
	@exec $(BIN)/python -m pytest -n 2 -m "not browser and not services and not slow and not faults"

lint: $(VENV)/.development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	@mkdir -p build
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file build/openapi.yaml
	diff -u docs/openapi.yaml build/openapi.yaml

# Names what is installed, with hashes and without hosts.
lock: $(VENV)/.uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --group dev -c requirements.lock -o requirements-dev.lock

frontend:
	npm --prefix dashboard/frontend ci --no-audit --no-fund
	npm --prefix dashboard/frontend run build

bench: $(VENV)/.development
	@exec $(BIN)/python -m tests.benchmarks

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { \
		echo "Strongroom needs Python 3.11 or later: install it, then run make again." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Strongroom needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) -V 2>&1):" \
			"run make again with PYTHON=/path/to/a/later/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments: install its venv module" \
			"(on Debian and Ubuntu: apt-get install python3-venv), then run make again." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Only for speed: without uv, pip installs the same files.
$(VENV)/.uv: $(VENV)/.made
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
		|| echo "uv $(UV_VERSION) cannot be had; pip takes its place, more slowly." >&2
	@touch $@

$(VENV)/.runtime: requirements.lock $(VENV)/.uv
	@echo "Installing what requirements.lock names."
	@$(call install,requirements.lock)
	@touch $@

$(VENV)/.development: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing what requirements-dev.lock names."
	@$(call install,requirements-dev.lock)
	@touch $@

define install
if [ -x $(BIN)/uv ]; then \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1); \
else \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); \
fi
endef
