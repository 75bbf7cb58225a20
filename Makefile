# make run and make test work on a fresh machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# make setup TORCH_INDEX=https://… takes torch from that index (for example its CPU wheels).
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup setup-train run test lint resolve web clean

setup: $(VENV)/.runtime

setup-train: $(VENV)/.train

run: $(VENV)/.runtime
	$(BIN)/python app.py

# A file's tests stay together; a thread for each process, or they wait for each other's. Chromium wants the
# machine for itself, and tests/browser therefore comes after the others.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --ignore tests/browser -n auto --maxprocesses 4 --dist loadfile
	$(BIN)/python -m pytest tests/browser

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pip-audit --local --skip-editable --progress-spinner off

# Whether requirements.txt has an answer for each Python and torch that a Space may have (`uv`, installs nothing).
resolve: $(VENV)/.dev
	@for python in 3.11 3.12; do for torch in 2.10 2.11 2.12 2.13; do \
		echo "torch==$$torch.*" | $(BIN)/uv pip compile --quiet --no-header --no-annotate --only-binary :all: \
			--python-version $$python --python-platform x86_64-manylinux_2_28 requirements.txt - > /dev/null \
			&& echo "Python $$python, torch $$torch: resolved" || exit 1; \
	done; done

# The static page that recognises on the visitor's own device: web/dist/. Needs npm; packages are locked.
web: $(VENV)/.train
	cd web && npm ci --ignore-scripts --no-audit --no-fund
	$(BIN)/python -m web.build

clean:
	rm -rf $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip setuptools wheel

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	@echo "Installing what the app needs (a few minutes the first time)"
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.txt
	$(BIN)/python -m ser_core doctor --repair
	@touch $@

$(VENV)/.train: $(VENV)/.runtime train/requirements.txt
	@echo "Installing what training needs"
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.txt -r train/requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime train/requirements.txt requirements-dev.txt
	@echo "Installing what the tests need"
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.txt -r train/requirements.txt -r requirements-dev.txt
	@touch $@
