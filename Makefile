# One-word commands. `make` alone lists them.

PYTHON ?= python3
WORKERS ?= 2
PORT ?= 5000

export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export GX_ANALYTICS_ENABLED := false
export PREFECT_HOME := $(CURDIR)/.prefect

# DVC runs `python` as it finds it on PATH.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
BIN := .venv/bin
# The name holds the content, so that a changed lock or project file installs anew.
STAMP := .venv/installed-$(shell cat requirements.lock pyproject.toml | cksum | tr ' ' '-')

.DEFAULT_GOAL := help
.PHONY: help demo test test-services test-all lint docs ui serve bench schedule lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

demo: $(STAMP) .dvc/plots_offline.html ## the whole pipeline as the DVC experiment `demo`, on CPU in minutes
	@git rev-parse --quiet --verify HEAD >/dev/null || { echo "make demo needs a git clone with a commit" >&2; exit 1; }
	@# a second demo replaces the first; an older commit's would make the name ambiguous
	@git for-each-ref --format='delete %(refname)' 'refs/exps/*/*/demo' | git update-ref --stdin
	@$(GIT_IDENTITY) $(BIN)/dvc --wait-for-lock exp run --name demo
	@$(BIN)/pipeline register
	@# 3: refused, because the champion is better; that is an answer, not an error
	@$(BIN)/pipeline promote || [ $$? -eq 3 ]
	@printf '%s\n' '' \
	  'reports/                 what to read: validation, anchors, curves, mAP, pictures, exports' \
	  'models/                  best.pt, and exported/: model.onnx and others' \
	  'pipeline status          where everything stands (source .venv/bin/activate before)' \
	  'make ui                  the runs and the registered model in MLflow' \
	  'dvc exp run -S train.epochs=3 -n short && dvc metrics diff demo short' \
	  '                         a second run beside the first'

test: $(STAMP) ## the quick tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-services: $(STAMP) ## the flows on real servers and under fault: PostgreSQL (its programs are needed), S3, MLflow, Prefect
	$(BIN)/python -m pytest -m services tests/services tests/flows

test-all: $(STAMP) ## all tests: also what is slow or starts real servers
	$(BIN)/python -m pytest -m '' --durations 15

lint: $(STAMP) ## format, rules and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

docs: $(STAMP) ## these pages as a site in site/, references from the code, links checked; no network
	$(BIN)/python -m docs.reference --write
	$(BIN)/python -m mkdocs build --clean --strict

ui: $(STAMP) ## MLflow's pages on http://127.0.0.1:5000 (PORT=...)
	@PORT=$(PORT) $(BIN)/pipeline views
	@case "$$MLFLOW_TRACKING_URI" in \
	  http*) echo 'MLFLOW_TRACKING_URI names a server: open that address in a browser.' ;; \
	  *) echo 'http://127.0.0.1:$(PORT) ("Model training" has the runs). Ctrl-C ends it.'; \
	     MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false exec $(BIN)/mlflow server --workers 1 \
	       --host 127.0.0.1 --port $(PORT) \
	       --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}" \
	       --artifacts-destination '$(CURDIR)/mlartifacts' ;; \
	esac

serve: $(STAMP) ## the champion answers on http://127.0.0.1:5001/invocations (PORT=...)
	@exec $(BIN)/pipeline serve $(if $(filter-out file,$(origin PORT)),--port $(PORT))

bench: $(STAMP) ## the measurements of benchmarks/, each prints a table (BENCH=name: that one)
	@found=no; for file in benchmarks/$(or $(BENCH),*).py; do \
	  [ -f "$$file" ] || continue; found=yes; echo "== $$file"; \
	  $(BIN)/python "$$file" || exit 1; \
	done; [ $$found = yes ] || echo "no such benchmark: benchmarks/$(or $(BENCH),*).py"

schedule: $(STAMP) ## serve the flows on this machine, retraining on params.yaml's schedule (PORT=...)
	$(BIN)/python -m flows.schedule $(if $(filter-out file,$(origin PORT)),--port $(PORT))

lock: ## requirements.lock anew from pyproject.toml's ranges (Linux x86-64, Python 3.11)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "the lock is for Python 3.11: PYTHON=python3.11")'
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install '.[dev]'
	sed '/^[^#]/,$$d' requirements.lock >build/requirements.lock
	build/lock/bin/pip freeze --all --exclude pip --exclude yolov2-pipeline >>build/requirements.lock
	mv build/requirements.lock requirements.lock && rm -rf build/lock

clean: ## remove what the stages made and the caches; keeps .venv, DVC's cache and MLflow's runs
	rm -rf artifacts models reports data/digits dvc_plots build site *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .dvc/plots_offline.html
	find yolov2 pipeline flows tests -name __pycache__ -type d -prune -exec rm -rf {} +

# An experiment is a commit, which needs a name; only where git knows none.
GIT_IDENTITY = $(if $(and $(shell git config user.name),$(shell git config user.email)),,\
  GIT_AUTHOR_NAME="$${GIT_AUTHOR_NAME:-yolov2-pipeline}" \
  GIT_AUTHOR_EMAIL="$${GIT_AUTHOR_EMAIL:-yolov2-pipeline@localhost}" \
  GIT_COMMITTER_NAME="$${GIT_COMMITTER_NAME:-yolov2-pipeline}" \
  GIT_COMMITTER_EMAIL="$${GIT_COMMITTER_EMAIL:-yolov2-pipeline@localhost}")

$(STAMP): requirements.lock
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	rm -f .venv/installed-* && touch $@

.dvc/plots_offline.html: $(STAMP)
	@$(BIN)/pipeline plots
