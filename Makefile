# Everything that is done with this system on one machine. `make` alone lists it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
# `local` is the package deploy/local. Never through a shell that stays: a killed `make` is noticed.
LOCAL = exec env PYTHONPATH=deploy $(PYTHON) -m local
RUN_DIR ?= .run
export RUN_DIR
PORT ?= 8080
export PORT

# The running system's own settings, for a command beside it.
OF_WHAT_RUNS = test -f '$(RUN_DIR)/env' || { echo 'nothing runs: start it with `make run`' >&2; exit 2; }; \
    . '$(abspath $(RUN_DIR))/env'; exec
.PHONY: help
help: ## list the targets
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	    while IFS='|' read -r target text; do printf '  %-16s %s\n' "$$target" "$$text"; done

.PHONY: run
run: $(VENV)/.made ## start everything, book one appointment, stay up (PORT=8080); Ctrl-C ends it
	@$(LOCAL) run --end-with-parent

.PHONY: demo
demo: $(VENV)/.made ## the same, but end by itself; the exit code says whether all of it worked
	@$(LOCAL) demo --end-with-parent

.PHONY: test
test: $(VENV)/.made ## all tests, beside a private PostgreSQL and RabbitMQ (ARGS='-k hold -x')
	@$(LOCAL) with-servers --end-with-parent -- $(PYTHON) -m pytest -n 2 $(ARGS)

.PHONY: check
check: $(VENV)/.made ## format, lint, types, import boundaries, migrations, compose file
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(LOCAL) with-servers --only-postgres --end-with-parent -- $(PYTHON) -m pytest -q -m migrations

.PHONY: format
format: $(VENV)/.made ## put the code into its form
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: token
token: $(VENV)/.made ## an access token: ROLE=patient [SUB=uuid] or ROLE=patient COUNT=500
	@$(LOCAL) token --role '$(ROLE)' $(if $(SUB),--sub '$(SUB)') $(if $(COUNT),--count '$(COUNT)')

.PHONY: status
status: $(VENV)/.made ## what is wrong with what runs, and what to do about it (ARGS=--json)
	@$(OF_WHAT_RUNS) $(PYTHON) -m shared.status --make $(ARGS)

.PHONY: queues
queues: $(VENV)/.made ## messages that wait or are parked, in what runs (ARGS='replay --help')
	@$(OF_WHAT_RUNS) $(PYTHON) -m shared.messaging.admin $(or $(ARGS),list)

.PHONY: rebuild
rebuild: $(VENV)/.made ## make the read models of what runs anew from their history (SERVICE=availability)
	@$(OF_WHAT_RUNS) $(PYTHON) -m '$(or $(SERVICE),availability)'.rebuild

.PHONY: bench
bench: $(VENV)/.made ## everything measured, in one table (bench/README.md); ONLY=events,growth for parts
	@$(LOCAL) with-servers --durable --end-with-parent -- $(PYTHON) -m bench $(ONLY)

.PHONY: bench-results
bench-results: $(VENV)/plots/.made ## a page with plots, bench/RESULTS.md, of what `make bench` has measured
	@$(VENV)/plots/bin/python -m bench.results

# By itself: some of it is pinned otherwise than what the services need.
$(VENV)/plots/.made: requirements/plots.txt $(VENV)/.made
	@$(PYTHON) -m venv --clear $(VENV)/plots
	@$(VENV)/plots/bin/python -m pip install -q --disable-pip-version-check --no-input --require-hashes -r $<
	@touch $@

TORTURE = exec env PYTHONPATH=deploy $(PYTHON) -m tests.torture
.PHONY: torture
torture: $(VENV)/.made ## 30 minutes of faults, then each promise and what was seen of it (docs/torture.md)
	@$(TORTURE) run --minutes '$(or $(MINUTES),30)' --patients '$(or $(PATIENTS),8)' \
	    $(if $(SEED),--seed '$(SEED)') $(ARGS)

.PHONY: torture-planted
torture-planted: $(VENV)/.made ## bugs planted in a copy, and which promise found each (ARGS=name)
	@$(TORTURE) planted $(ARGS)

.PHONY: audit
audit: $(VENV)/.made ## whether the audit trail of what runs is untouched (ARGS='--appointment ID')
	@$(OF_WHAT_RUNS) $(PYTHON) -m bookings.audit verify $(ARGS)

.PHONY: vulnerabilities
vulnerabilities: $(VENV)/.made ## whether anything is known against the pinned packages (asks the registry)
	@exec env PYTHONPATH=deploy $(PYTHON) -m local.vulnerabilities

.PHONY: logs
logs: ## follow the logs of everything that runs (or NAME=bookings-api)
	@exec tail -n 20 -F '$(RUN_DIR)'/logs/$(or $(NAME),*).log

.PHONY: migrate
migrate: $(VENV)/.made ## bring the running system's databases up to the newest migrations
	@$(OF_WHAT_RUNS) env PYTHONPATH=deploy $(PYTHON) -m local migrate

.PHONY: events
events: $(VENV)/.made ## write the AsyncAPI document anew, after a change of the events
	@$(PYTHON) -m shared.events.asyncapi > docs/asyncapi.json.new
	@mv docs/asyncapi.json.new docs/asyncapi.json

.PHONY: openapi
openapi: $(VENV)/.made ## write the merged OpenAPI document anew, after a change of any API
	@env PYTHONPATH=deploy $(PYTHON) -m local.openapi > docs/openapi.json.new
	@mv docs/openapi.json.new docs/openapi.json

.PHONY: rules
rules: $(VENV)/.made ## write the alert rules for Kubernetes anew, after a change of deploy/observability
	@$(PYTHON) deploy/observability/rules_for_kubernetes.py > deploy/k8s/monitoring/rules.yaml.new
	@mv deploy/k8s/monitoring/rules.yaml.new deploy/k8s/monitoring/rules.yaml

.PHONY: cluster-values
cluster-values: $(VENV)/.made ## random passwords and keys for a development cluster (docs/kubernetes.md)
	@exec env PYTHONPATH=deploy $(PYTHON) -m local.cluster_values

.PHONY: lock
lock: $(VENV)/.made ## pin the newest versions that requirements/*.in allow
	@command -v uv > /dev/null || test -x $(VENV)/bin/uv || $(PYTHON) -m pip install -q uv
	@cd requirements && for name in runtime dev postgres plots audit; do \
	    PATH="$(abspath $(VENV))/bin:$$PATH" uv pip compile -q --upgrade --universal \
	        --python-version 3.11 --generate-hashes --no-annotate --no-header \
	        $$name.in -o $$name.txt || exit 1; \
	done

.PHONY: clean
clean: ## forget the run folder's data, and every cache
	@test ! -x $(PYTHON) || env PYTHONPATH=deploy $(PYTHON) -m local clean
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The virtual environment: made again when the pinned requirements or a package's description change.
$(VENV)/.made: requirements/dev.txt shared/pyproject.toml $(wildcard services/*/pyproject.toml)
	@deploy/local/make-venv.sh $(VENV) >&2
	@touch $@
