# Everything a user does with Citystream. `make` alone lists it by groups: a line `##@ NAME` begins one.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# PYTHON=/path/to/python makes the virtual environment with that one; else uv does, where it is there, and fetches a
# Python if need be; else the first of python3.11 and python3.12 that is there.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
JAR := sinks/java/target/citystream-sinks.jar
JOB ?= deliveries
# Tests have a stack of their own, beside one that runs. It is forgotten at the end.
TEST_STACK := CITYSTREAM__STACK__DIRECTORY=.stack-test CITYSTREAM__STACK__PORT_OFFSET=1000

# Stamps of what is installed: make compares their times with what they were made from.
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
JAVA_SOURCES := sinks/java/pom.xml $(shell find sinks/java/src -type f 2>/dev/null)

# Missing programs, each in one line that says how to get it.
JAVAC = $${JAVA_HOME:+$$JAVA_HOME/bin/}javac
NEEDS_JAVA = version=$$("$(JAVAC)" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p') || true; \
	[ "$${version:-0}" -ge 17 ] || { echo "A JDK 17 or newer is missing ($(JAVAC)): apt install openjdk-17-jdk, or openjdk-21-jdk (macOS: brew install openjdk@17, and set JAVA_HOME)." >&2; exit 1; }
NEEDS_MAVEN = command -v mvn >/dev/null || { echo "Maven is missing: apt install maven (macOS: brew install maven)." >&2; exit 1; }
IS_PYTHON = -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' 2>/dev/null

# Packages are installed by uv, where it is there.
INSTALL = $(if $(shell command -v uv 2>/dev/null),uv pip install --python $(BIN)/python,$(BIN)/python -m pip install --disable-pip-version-check)

.PHONY: help
help: ## List all targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "ARGS=--help shows the options of a command, as in make generate ARGS=--help."
	@echo "PYTHON=python3.11 names the Python that .venv is made of. Settings are in conf/citystream.yaml."
	@echo "Data, logs and addresses are in .stack; root's data in /var/lib/citystream, its programs in /var/cache/citystream."

##@ Setting up

.PHONY: install
install: $(INSTALLED) $(JAR) ## Install Python packages into .venv and build the job's jar; again: only what changed
ifneq ($(PYTHON),)
	@[ "$$("$(PYTHON)" --version)" = "$$($(BIN)/python --version)" ] || { echo "$(VENV) has $$($(BIN)/python --version): remove it (rm -r $(VENV)), and PYTHON=$(PYTHON) makes it anew." >&2; exit 1; }
endif

$(BIN)/python:
	@$(NEEDS_JAVA)
	@$(NEEDS_MAVEN)
	@echo "Making $(VENV)"
ifneq ($(PYTHON),)
	@"$(PYTHON)" $(IS_PYTHON) || { echo "PYTHON=$(PYTHON) is no Python 3.11 or 3.12 with venv and pip (Debian and Ubuntu have them in python3-venv)." >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
else ifneq ($(shell command -v uv 2>/dev/null),)
	@uv venv --quiet --seed --python '>=3.11,<3.13' $(VENV)
else
	@for python in python3.11 python3.12; do if $$python $(IS_PYTHON); then exec $$python -m venv $(VENV); fi; done; \
	echo "Python 3.11 or 3.12 with venv is missing: install uv, which fetches one (pipx install uv; macOS: brew install uv), or apt install python3.11-venv (Ubuntu 24.04: python3.12-venv; macOS: brew install python@3.12), or name one with PYTHON=/path/to/python." >&2; exit 1
endif

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@$(NEEDS_JAVA)
	@$(NEEDS_MAVEN)
	@echo "Installing Python packages (the first time some 600 MB: PyFlink brings all of Flink)"
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@ln -sf "$$(cd / && $(CURDIR)/$(BIN)/python -c 'import pyflink; print(pyflink.__path__[0])')/bin/flink" $(BIN)/flink
	@touch $@

$(INSTALLED_DEV): requirements-dev.lock $(INSTALLED)
	@echo "Installing what checks and tests need"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(JAR): $(JAVA_SOURCES)
	@$(NEEDS_JAVA)
	@$(NEEDS_MAVEN)
	@echo "Building $(JAR)"
	@mvn -q -B -f sinks/java/pom.xml package -DskipTests
	@touch $@

.PHONY: lock
lock: $(INSTALLED_DEV) ## Resolve the pinned Python packages anew, for all Pythons, after a change of pyproject.toml
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	lock="$(BIN)/uv pip compile --quiet --upgrade --no-config --universal --python-version 3.11 --generate-hashes"; \
	echo "setuptools>=68  # builds what is installed editable" | $$lock --output-file requirements.lock pyproject.toml -; \
	$$lock --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

##@ The local stack

.PHONY: up
up: $(INSTALLED) ## Start Kafka, PostgreSQL, Elasticsearch, Flink, simulator and board; return when each answers
	@$(BIN)/python -m stack up

.PHONY: down
down: $(INSTALLED) ## Stop them; the data stays
	@$(BIN)/python -m stack down

.PHONY: clean
clean: $(INSTALLED) ## Stop them and forget all data, logs, models, passwords and where jobs left off
	@$(BIN)/python -m stack clean

.PHONY: status
status: $(INSTALLED) ## All servers and jobs: restarts, lag, checkpoints, dead letters; ARGS=--watch, ARGS=--json
	@$(BIN)/python -m stack status $(ARGS)

.PHONY: logs
logs: $(INSTALLED) ## The last log lines of each server; SERVICE=kafka-1 shows one
	@$(BIN)/python -m stack logs $(SERVICE)

.PHONY: restart
restart: $(INSTALLED) ## Restart one server and wait until it answers; SERVICE=taskmanager-1
	@$(BIN)/python -m stack restart $(SERVICE)

.PHONY: workers
workers: $(INSTALLED) ## Add or remove TaskManagers while all goes on; N=3
	@$(BIN)/python -m stack workers $(or $(N),$(error How many TaskManagers? `make workers N=3`))

.PHONY: doctor
doctor: $(INSTALLED) ## Check machine, servers, what `prepare` made, and jobs; a fix per finding
	@$(BIN)/python -m stack doctor

##@ Streams

.PHONY: prepare
prepare: install ## Create topics, apply migrations and index templates, load the districts; again: what is missing
	@$(BIN)/python -m sinks.prepare

.PHONY: submit
submit: install ## Submit a job to Flink, from the beginning of its topics; JOB=deliveries; FRESH=1 although it could be resumed
	@$(BIN)/python -m stack.control submit $(JOB) $(if $(FRESH),--fresh)

.PHONY: stop
stop: $(INSTALLED) ## Stop a job with a savepoint; JOB=deliveries
	@$(BIN)/python -m stack.control stop $(JOB)

.PHONY: resume
resume: install ## Resume a job from its latest savepoint or checkpoint; JOB=deliveries
	@$(BIN)/python -m stack.control resume $(JOB)

.PHONY: scale
scale: $(INSTALLED) ## Give a running job another parallelism, without a savepoint; JOB=tickets PARALLELISM=4
	@$(BIN)/python -m stack.control scale $(JOB) $(or $(PARALLELISM),$(error How wide? `make scale JOB=$(JOB) PARALLELISM=4`))

.PHONY: autoscale
autoscale: $(INSTALLED) ## Rescale a job by its lag and how busy it is, until Ctrl-C; JOB=tickets ARGS=--dry-run
	@$(BIN)/python -m stack.autoscale $(JOB) $(ARGS)

.PHONY: generate
generate: $(INSTALLED) ## Generate orders into Kafka, 200 a second at the day's mean, until Ctrl-C
	@$(BIN)/python -m generators.deliveries $(ARGS)

.PHONY: backfill
backfill: $(INSTALLED) ## Fetch 30 months of the public APIs; with JOB=tickets FROM=2026-11-20: read a topic again
	@$(BIN)/python -m $(if $(FROM),stack.control backfill $(JOB) --from $(FROM),generators.pollers.carbon backfill $(ARGS))

.PHONY: clean-savepoints
clean-savepoints: $(INSTALLED) ## Remove savepoints and ended jobs' checkpoints that are old and not needed; ARGS=--dry-run
	@$(BIN)/python -m stack.savepoints $(ARGS)

.PHONY: poll
poll: $(INSTALLED) ## Fetch what is new of them, as the schedule says, until Ctrl-C
	@$(BIN)/python -m generators.pollers.carbon watch $(ARGS)

.PHONY: simulate
simulate: $(INSTALLED) ## Answer as the public APIs do, without a stack, until Ctrl-C
	@$(BIN)/python -m generators.simulator $(ARGS)

.PHONY: train
train: $(INSTALLED) ## Train the forecast of emission from PostgreSQL, and show its backtest
	@$(BIN)/python -m forecast.train $(ARGS)

.PHONY: backtest
backtest: $(INSTALLED) ## Show the forecast's backtest against two baselines, without training
	@$(BIN)/python -m forecast.backtest $(ARGS)

.PHONY: reconcile
reconcile: $(INSTALLED) ## Compare topics, ledgers, totals, documents; JOB=deliveries: one stream; ARGS=--repair
	@$(BIN)/python -m stack.reconcile $(if $(filter-out file,$(origin JOB)),$(JOB)) $(ARGS)

.PHONY: redrive
redrive: $(INSTALLED) ## Send dead letters back, each once; TOPIC=deliveries.dead-letters ARGS="--reason wrong-type --dry-run"
	@$(BIN)/python -m stack.redrive $(or $(TOPIC),$(error Which letters? `make redrive TOPIC=deliveries.dead-letters`)) $(ARGS)

.PHONY: kibana
kibana: $(INSTALLED) ## Import maps and dashboards into a Kibana; URL=http://localhost:5601
	@$(BIN)/python -m kibana import $(if $(URL),--url $(URL)) $(ARGS)

.PHONY: demo
demo: install ## All of it: stack, jobs, data of all streams, after a minute the reconciliation; all goes on running
	@$(BIN)/python -m stack.demo

##@ Working on Citystream

.PHONY: vendor
vendor: $(INSTALLED) ## Fetch the libraries of the board's pages anew with npm, at the versions of board/vendor.py
	@$(BIN)/python -m board.vendor

.PHONY: pictures
pictures: $(INSTALLED_DEV) ## Take pictures of the board for the docs, of a stack that runs (`make demo`)
	@$(BIN)/python -m tests.pictures

.PHONY: dashboard
dashboard: $(INSTALLED) ## Build Grafana's dashboard from conf/grafana/citystream.yaml
	@$(BIN)/python -m monitoring.dashboard

OWN_STACK := tests/integration/test_stack.py
PYTEST := $(BIN)/python -m pytest --durations=20 --durations-min=1
# Several processes, for tests that share nothing; a process that is done takes over what another one has left.
UNIT := -n auto --maxprocesses 4 --dist worksteal tests/unit

.PHONY: check
check: style ## Format, lint, types, layers and unit tests; needs no servers
	@$(PYTEST) $(UNIT)

.PHONY: style
style: $(INSTALLED_DEV) ## Format, lint, types and layers: `check` without the unit tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports & layers=$$!; $(BIN)/mypy || { wait $$layers; exit 1; }; wait $$layers

.PHONY: check-other
check-other: $(INSTALLED_DEV) ## Unit tests on the other of Python 3.11 and 3.12, where that is here
	@$(BIN)/python -m tests.other_python $(UNIT)

.PHONY: test
test: style check-other $(JAR) ## `check`, `check-other`, the Java tests, and tests against real servers, kill tests among them
	@$(NEEDS_MAVEN)
	@export $(TEST_STACK); trap '$(BIN)/python -m stack clean' EXIT; \
	$(BIN)/python -m stack up; \
	echo "Java tests (about three minutes); beside them unit tests, and the local stack's, which have servers of their own"; \
	(set -a; . ./.stack-test/env; exec mvn -q -B -f sinks/java/pom.xml verify) & java=$$!; \
	failed=; $(PYTEST) $(UNIT) || failed=1; $(PYTEST) $(OWN_STACK) || failed=1; \
	wait $$java || failed=1; [ -z "$$failed" ]; \
	$(PYTEST) tests/integration tests/chaos --ignore=$(OWN_STACK)

.PHONY: chaos
chaos: install $(INSTALLED_DEV) ## The kill tests in their long form, on a stack of their own
	@CITYSTREAM_CHAOS=long $(BIN)/python -m pytest tests/chaos

.PHONY: test-compose
test-compose: $(INSTALLED_DEV) ## Bring docker-compose.yml up whole, against stand-ins of the official images; needs root
	@$(NEEDS_JAVA)
	@$(NEEDS_MAVEN)
	@$(BIN)/python -m tests.compose $(ARGS)

.PHONY: bench
bench: install ## Benchmarks beside the alternatives, as a table of rates and ratios
	@$(BIN)/python -m bench $(ARGS)
