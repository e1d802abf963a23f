# make demo    infer on a real clip, from a fresh clone
# make test    the test suite
# make lint    ruff and mypy

PYTHON ?= python3
PYTEST_ARGS ?= -n auto --maxprocesses 4
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test lint format clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	@clip=$$($(BIN)/python data/sample_clip.py demo) && \
	$(BIN)/pose3d infer "$$clip" -o demo --overwrite && \
	echo "Open demo/$$(basename "$${clip%.*}").pose3d.mp4 to see the people in 3D."

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "pose3d needs Python 3.11 or newer as $(PYTHON); another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { \
	  echo "no virtual environment could be made (on Debian: apt install python3-venv)"; exit 1; }
	@echo "Installing into .venv: PyTorch is large, this takes some minutes the first time"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
