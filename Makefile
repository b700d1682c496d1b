# The commands of this project. `make` lists them; `make test` and `make demo` set a bare
# machine up by themselves.

PYTHON ?= python3
IMAGE ?= ecs-deploy:local
N ?= 2000

# Runs a command on a machine where everything is there, and stops what it started.
ON_MACHINE = @$(PYTHON) -m dev.machine run --

.DEFAULT_GOAL := help
.PHONY: help test check all simulated real storm reliability faults detection mutants demo systems bench image clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## set the machine up, then run every check and every test
	$(ON_MACHINE) $(MAKE) --no-print-directory all

check: ## format, lint, types, import rules, workflows, Dockerfiles
	@$(PYTHON) -m dev.environments
	@.venv/bin/python -m dev.check

# What `make test` runs once the machine is ready. The tests with containers mostly wait; the
# others fill the cores meanwhile, and step back (nice) where both want one.
all: check
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target simulated real

simulated:
	@nice .venv/bin/python -m pytest -n auto --dist worksteal -m "not docker and not e2e"

real:
	@.venv/bin/python -m pytest -m "docker or e2e"

storm: ## play N random storms over all cores; STORM=--update writes the README
	@$(PYTHON) -m dev.environments
	@.venv/bin/python -m dev.storm run $(N) $(STORM)

detection: ## tell when failures are known; DETECTION=--update writes the README
	@$(PYTHON) -m dev.environments
	@.venv/bin/python -m dev.detection $(DETECTION)

reliability: ## release on bad days; RELIABILITY=--update writes the README
	@$(PYTHON) -m dev.environments
	@.venv/bin/python -m dev.reliability $(RELIABILITY)

faults: ## play every fault at every call; FAULTS=--update writes the README
	@$(PYTHON) -m dev.environments
	@.venv/bin/python -m dev.storm faults $(FAULTS)

mutants: ## plant the bugs of other tools and count those caught; MUTANTS=--update
	@$(PYTHON) -m dev.environments
	@.venv/bin/python -m dev.mutants $(MUTANTS)

demo: ## deploy, replace, roll back and repeat on an emulated AWS
	$(ON_MACHINE) .venv/bin/python -m dev.demo

systems: ## play the five systems of examples/; SYSTEMS=--update writes the README
	$(ON_MACHINE) .venv/bin/python -m dev.systems $(SYSTEMS)

bench: ## measure against awscli and ecs-deploy; BENCH=--update writes the README
	$(ON_MACHINE) .venv/bin/python -m dev.bench $(BENCH)

image: ## build the action's image as $(IMAGE)
	$(ON_MACHINE) docker build --tag $(IMAGE) .

clean: ## remove what the set-up made in this folder
	@rm -rf .venv .venv-bench .venv-ministack .cache
	@rm -rf .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
