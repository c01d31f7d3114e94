# One line a target. Everything runs in .venv, which plain pip fills from setup.cfg.
# Variables become options where they are set:
#   make detect DATASET=vlog DATA=/disk/videos OUT=/disk/shards ARGS="--limit 10"
#   make PYTHON=/path/to/python3.12 setup chooses the interpreter (3.11 to 3.13).
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ROOMS := shared data_manifests stage1_detect stage2_train benchmarks
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# An interpreter that can create an environment: a name on the path may be an empty pyenv shim or a
# Python without ensurepip, so each candidate is run.
PYTHON_CHECK := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell IFS=:; for name in python3.11 python3.12 python3.13 python3; do for folder in $$PATH $$HOME/.pyenv/versions/*/bin; do "$$folder/$$name" -c '$(PYTHON_CHECK)' 2>/dev/null && echo "$$folder/$$name" && break 2; done; done)

DATA_OPTION = $(if $(DATA),--data $(DATA))
OUT_OPTION = $(if $(OUT),--out $(OUT))
SEED_OPTION = $(if $(SEED),--seed $(SEED))
CHECKPOINT_OPTION = $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))
RUN_OPTION = $(if $(RUN),--run $(RUN))
# Tests run in parallel, one process per core, and start many more; they share compiled bytecode.
BESIDE := -n auto --dist worksteal
test test-all: export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint type types format docs release bench detect clips train eval inspect verify clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | while IFS='	' read -r target text; do printf '  make %-10s %s\n' "$$target" "$$text"; done

$(READY): setup.cfg pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(PYTHON_CHECK)' 2>/dev/null || { echo "make: expected Python 3.11 to 3.13 with venv, got '$(PYTHON)'; install it (Debian: apt install python3 python3-venv) or use make PYTHON=/path/to/python3.12" >&2; exit 1; }
ifdef OFFLINE
	"$(PYTHON)" -m venv --system-site-packages $(VENV)
	$(PIP) install --no-index --no-deps $(OFFLINE)/*.whl
	$(PIP) install --no-index --no-deps --no-build-isolation --editable .
else
	"$(PYTHON)" -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable '.[dev,docs]'
	$(PIP) uninstall --yes opencv-python opencv-python-headless # the former needs libGL, which servers lack
	$(PIP) install --constraint constraints.txt --no-deps 'opencv-python-headless>=4.10'
endif
	$(BIN)/python -c 'import yapf' # writes a cache, which is damaged if two processes of the tests write it at once
	touch $@

setup: $(READY) ## Create .venv and install everything; OFFLINE=folder of wheels
demo: $(READY) ## Run the whole pipeline on generated videos; SEED=
	$(BIN)/orn demo $(SEED_OPTION) $(ARGS)
test: $(READY) ## Run the quick tests; ARGS="-k shards"
	$(BIN)/python -m pytest $(BESIDE) -m "not slow and not ray" $(ARGS)
test-all: $(READY) ## Run all tests
	$(BIN)/python -m pytest $(BESIDE) -m "not ray" $(ARGS)
	$(BIN)/python -m pytest -m ray $(ARGS) || [ $$? -eq 5 ] # ARGS selected none
lint: $(READY) types ## Check style, format and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
type: $(READY) types ## Check types
	$(BIN)/mypy
types: ## Link the packages in build/types/orn for mypy and editors
	@mkdir -p build/types/orn && ln -sfn $(CURDIR)/orn/* $(ROOMS:%=$(CURDIR)/%) build/types/orn/
format: $(READY) ## Format the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .
docs: $(READY) ## Build the site in build/docs; broken links are errors
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs . build/docs && cp build/docs/README.html build/docs/index.html
release: $(READY) ## Build the sdist and the wheel in dist, and test their installation
	rm -rf dist && $(BIN)/python -m build --no-isolation >/dev/null && ls dist
	ORN_DIST=$(CURDIR)/dist $(BIN)/python -m pytest tests/test_package.py
bench: $(READY) ## Measure speed and memory; BENCH=object_head, train_step, loader, detect or resume ARGS=
	$(BIN)/python -m orn.benchmarks.$(or $(BENCH),object_head) $(ARGS)
detect: $(READY) ## Detect objects in every frame; DATASET= (demo) DATA= OUT= CHECKPOINT= ARGS=
	$(BIN)/orn detect $(or $(DATASET),demo) $(DATA_OPTION) $(OUT_OPTION) $(CHECKPOINT_OPTION) $(ARGS)
clips: $(READY) ## Store the rescaled frames; DATASET= DATA= OUT= ARGS=
	$(BIN)/orn clips $(DATASET) $(DATA_OPTION) $(OUT_OPTION) $(ARGS)
train: $(READY) ## Train; DATASET= DATA= RUN= SEED= ARGS=
	$(BIN)/orn train $(DATASET) $(DATA_OPTION) $(RUN_OPTION) $(SEED_OPTION) $(ARGS)
eval: $(READY) ## Evaluate a run, or the newest; RUN= DATASET= DATA= ARGS=
	$(BIN)/orn eval $(RUN) $(if $(DATASET),--dataset $(DATASET)) $(DATA_OPTION) $(ARGS)
inspect: $(READY) ## Summarize a shard; SHARD= ARGS="--html page"
	$(BIN)/orn inspect $(SHARD) $(ARGS)
verify: $(READY) ## Check shards; SHARD=file or folder
	$(BIN)/orn verify $(SHARD) $(ARGS)
clean: ## Remove caches; .venv, data, shards, clips and runs stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build && find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
