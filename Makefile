# Lacquer. `make help` lists what there is; the README has the plain commands behind it.

PYTHON ?= python3# what makes the environment: 3.11 or newer
VENV ?= .venv# where it lies
PORT ?= 8501# where the app answers
ASK ?=# what else `make screenshots` is asked: tests/screenshots/take.py --help lists it
TORCH_INDEX ?=# a package index to take torch from, such as its own index of CPU builds

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
URL := http://localhost:$(PORT)
# Several processes that each start as many threads as there are cores wait for one another: small
# products of matrices then take a hundred times as long.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
SERVE = { \
	echo "Lacquer: $(URL) (Ctrl-C ends it)"; \
	$(BIN)/python -c "$$OPEN_BROWSER" $(URL) & \
	exec $(BIN)/python -m streamlit run app.py --server.port $(PORT) --logger.hideWelcomeMessage true; }

.DEFAULT_GOAL := help
.PHONY: help install demo run test browser lint format check soak bench backbone screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## set up .venv with all that the app needs; afterwards it needs no network
	@:

demo: $(INSTALLED) ## a workspace of synthetic paint defects, in the app; Ctrl-C ends it
	@export LACQUER_WORKSPACE="$${LACQUER_HOME:-workspaces}/demo"; \
	$(BIN)/python -m core demo && $(SERVE)

run: $(INSTALLED) ## the app alone; another port with PORT=8502
	@$(SERVE)

test: $(INSTALLED_DEV) browser ## all tests; those without their browser, database or data say so
	@$(ONE_THREAD) $(BIN)/python -m pytest -n logical --dist loadfile

# Debian's browser where it can be installed, else Playwright's own.
browser: $(INSTALLED_DEV)
	@if [ -e "$${LACQUER_CHROMIUM:-/usr/bin/chromium}" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Debian's Chromium for the browser tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends chromium >/dev/null && exit 0; \
	fi; \
	$(BIN)/python -m playwright install chromium || \
		echo "No browser could be installed: the browser tests will be skipped"

lint: $(INSTALLED_DEV) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(INSTALLED_DEV) ## put every file into ruff's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

check: lint test ## lint, then all tests

soak: $(INSTALLED_DEV) browser ## the long tests: eight people at a queue of 2,000; a burst of 500 files; the story, live
	@LACQUER_TEST_ITEMS=2000 $(ONE_THREAD) $(BIN)/python -m pytest -q tests/unit/state/test_operators.py
	@LACQUER_TEST_FILES=500 $(ONE_THREAD) $(BIN)/python -m pytest -q tests/unit/jobs/test_watch.py
	@LACQUER_TEST_STORY=1 $(BIN)/python -m pytest -q tests/browser/test_story.py

bench: $(INSTALLED_DEV) browser ## the benchmarks: minutes on an idle machine
	@failed=0; for file in tests/benchmarks/bench_*.py; do \
		echo "$$file"; PYTHONPATH=. $(BIN)/python "$$file" || failed=1; \
	done; exit $$failed

screenshots: $(INSTALLED_DEV) browser ## pictures of every page, light and dark; ASK="--width 820" asks for more
	@PYTHONPATH=. $(BIN)/python tests/screenshots/take.py $(ASK)

# Pictures and checkpoints stay in workspaces/.pretraining: a run that was cut off goes on.
backbone: $(INSTALLED) ## train the bundled backbone anew, from a seed: half an hour; EPOCHS=12 for longer
	@$(BIN)/python -m core.learning.pretraining $(if $(EPOCHS),--epochs $(EPOCHS))

clean: ## remove the environment and all caches; workspaces stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Lacquer needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@echo "Making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
ifneq ($(strip $(TORCH_INDEX)),)
	@echo "Installing torch from $(TORCH_INDEX)"
	@$(PIP) install --quiet --index-url $(TORCH_INDEX) $$(grep '^torch' requirements.txt)
endif
	@echo "Installing the libraries: one to three minutes, once"
	@$(PIP) install --quiet -r requirements.txt
	@touch $@

$(INSTALLED_DEV): $(INSTALLED) requirements-dev.txt
	@echo "Installing the tools for tests and lint"
	@$(PIP) install --quiet -r requirements-dev.txt
	@touch $@

# Opens the app once it answers, on a machine with a screen: elsewhere Python would open a browser
# in the terminal.
define OPEN_BROWSER
import os, sys, time, urllib.request, webbrowser
url = sys.argv[1]
has_screen = sys.platform == "darwin" or os.getenv("DISPLAY") or os.getenv("WAYLAND_DISPLAY")
for _ in range(120 if has_screen else 0):
    time.sleep(0.5)
    try:
        urllib.request.urlopen(url + "/_stcore/health", timeout=2)
    except OSError:
        continue
    webbrowser.open(url)
    break
endef
export OPEN_BROWSER
