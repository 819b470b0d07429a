# `make up` and `make test` install whatever they need, and are safe to run again.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARBON := .venv/bin/carbon
PYTEST := .venv/bin/python -m pytest
REAL := $(PYTEST) tests/cluster tests/machine tests/e2e -n 2 --dist loadfile --durations 20

.PHONY: help up test test-all lint unit real real-all down bench bench-drift bench-faults bench-at-rest corpus lock clean

help: ## What there is to make
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/ready: requirements.lock bootstrap.lock pyproject.toml install.sh
	./install.sh

up: .venv/ready ## From an empty machine to the verified platform
	$(CARBON) cluster up
	$(CARBON) up

test: lint unit real ## Style, types, layers, and all tests but the long ones that rarely break
test-all: lint unit real-all ## All tests

lint: .venv/ready ## Style, types, layers
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

unit: .venv/ready ## Decisions, in memory
	$(PYTEST) tests/unit -n auto

real: .venv/ready ## Real API servers, and the platform on real pods
	$(CARBON) cluster prepare
	$(REAL) -m "not rare"

real-all: .venv/ready
	$(CARBON) cluster prepare
	$(REAL)

down: .venv/ready ## Uninstall the platform and stop the cluster; data stays
	-$(CARBON) down --yes
	$(CARBON) cluster down

bench: .venv/ready ## carbon up against helmfile
	.venv/bin/python -m benchmarks.up_vs_helmfile --json

bench-drift: .venv/ready ## carbon drift against kubectl diff
	.venv/bin/python -m benchmarks.drift --json

bench-faults: .venv/ready ## Faults on the real platform, healed by Carbon alone
	.venv/bin/python -m benchmarks.faults --json

bench-at-rest: .venv/ready ## What carbon ui costs in an hour in which nothing happens; it must run
	.venv/bin/python -m benchmarks.at_rest --minutes 60 --json

MINUTES ?= 30
corpus: .venv/ready ## Charts that others made, on simulated nodes: FOLDER=… [ONLY=a,b] [MINUTES=30]
	$(if $(FOLDER),,$(error FOLDER=… names a folder of charts))
	.venv/bin/python -m benchmarks.corpus $(FOLDER) --minutes $(MINUTES) $(if $(ONLY),--only $(ONLY))

lock: .venv/ready ## Renew the lock files after changing pyproject.toml
	.venv/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --no-header --all-extras \
		--universal --python-version 3.11 pyproject.toml -o requirements.lock
	echo uv | .venv/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--universal --python-version 3.11 - -o bootstrap.lock

clean: ## Remove the virtual environment and the tools' caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
