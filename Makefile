# Everything a user does with Citystream. `make` alone lists it by groups: a line `##@ NAME` begins one.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
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

# One line about a missing program, and how to get it.
NEEDS_PYTHON = command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is missing: apt install python3.11 python3.11-venv (macOS: brew install python@3.11)." >&2; exit 1; }
NEEDS_JAVA = command -v java >/dev/null || [ -x "$${JAVA_HOME:-}/bin/java" ] || { echo "Java is missing: apt install openjdk-17-jdk (macOS: brew install openjdk@17)." >&2; exit 1; }
NEEDS_MAVEN = command -v mvn >/dev/null || { echo "Maven is missing: apt install maven (macOS: brew install maven)." >&2; exit 1; }

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

$(BIN)/python:
	@$(NEEDS_PYTHON)
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@$(NEEDS_JAVA)
	@$(NEEDS_MAVEN)
	@echo "Installing Python packages (the first time some 600 MB: PyFlink brings all of Flink)"
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@ln -sf "$$(cd / && $(CURDIR)/$(BIN)/python -c 'import pyflink; print(pyflink.__path__[0])')/bin/flink" $(BIN)/flink
	@touch $@

$(INSTALLED_DEV): requirements-dev.lock $(INSTALLED)
	@echo "Installing what checks and tests need"
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(JAR): $(JAVA_SOURCES)
	@$(NEEDS_JAVA)
	@$(NEEDS_MAVEN)
	@echo "Building $(JAR)"
	@mvn -q -B -f sinks/java/pom.xml package -DskipTests
	@touch $@

.PHONY: lock
lock: $(INSTALLED_DEV) ## Resolve the pinned Python packages anew, after a change of pyproject.toml
	@unset PIP_FIND_LINKS; export CUSTOM_COMPILE_COMMAND="make lock"; \
	flags="--quiet --upgrade --no-config --strip-extras --allow-unsafe --generate-hashes"; \
	flags="$$flags --no-emit-index-url --no-emit-find-links --no-emit-trusted-host"; \
	$(BIN)/pip-compile $$flags --build-deps-for editable --output-file requirements.lock pyproject.toml; \
	$(BIN)/pip-compile $$flags --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

##@ The local stack

.PHONY: up
up: $(INSTALLED) ## Start Kafka, PostgreSQL, Elasticsearch, Flink, simulator and forecast service; return when each answers
	@$(BIN)/python -m stack up

.PHONY: down
down: $(INSTALLED) ## Stop them; the data stays
	@$(BIN)/python -m stack down

.PHONY: clean
clean: $(INSTALLED) ## Stop them and forget all data, logs, models, passwords and where jobs left off
	@$(BIN)/python -m stack clean

.PHONY: status
status: $(INSTALLED) ## All servers and jobs: since when, restarts, lag, last checkpoint
	@$(BIN)/python -m stack status

.PHONY: logs
logs: $(INSTALLED) ## The last log lines of each server; SERVICE=kafka-1 shows one
	@$(BIN)/python -m stack logs $(SERVICE)

.PHONY: restart
restart: $(INSTALLED) ## Restart one server and wait until it answers; SERVICE=taskmanager-1
	@$(BIN)/python -m stack restart $(SERVICE)

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

.PHONY: generate
generate: $(INSTALLED) ## Generate orders into Kafka, 200 a second at the day's mean, until Ctrl-C
	@$(BIN)/python -m generators.deliveries $(ARGS)

.PHONY: backfill
backfill: $(INSTALLED) ## Fetch complexes, energy use and weather of 30 months; ARGS=--dry-run reckons
	@$(BIN)/python -m generators.pollers backfill $(ARGS)

.PHONY: poll
poll: $(INSTALLED) ## Fetch what is new of them, as the schedule says, until Ctrl-C
	@$(BIN)/python -m generators.pollers watch $(ARGS)

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

.PHONY: kibana
kibana: $(INSTALLED) ## Import maps and dashboards into a Kibana; URL=http://localhost:5601
	@$(BIN)/python -m kibana import $(if $(URL),--url $(URL)) $(ARGS)

.PHONY: demo
demo: install ## All of it: stack, job, orders, after a minute the reconciliation; all goes on running
	@$(BIN)/python -m stack.demo

##@ Working on Citystream

.PHONY: dashboard
dashboard: $(INSTALLED) ## Build Grafana's dashboard from conf/grafana/citystream.yaml
	@$(BIN)/python -m monitoring.dashboard

.PHONY: check
check: $(INSTALLED_DEV) ## Format, lint, types, layers and unit tests; needs no servers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/unit

.PHONY: test
test: check $(JAR) ## Everything in `check`, the Java tests, and tests against real servers, kill tests among them
	@$(NEEDS_MAVEN)
	@export $(TEST_STACK); trap '$(BIN)/python -m stack clean' EXIT; \
	$(BIN)/python -m stack up; \
	echo "Java tests (about three minutes)"; \
	(set -a; . ./.stack-test/env; mvn -q -B -f sinks/java/pom.xml verify); \
	$(BIN)/python -m pytest tests/integration tests/chaos

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
