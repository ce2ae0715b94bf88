# Bulkhead. `make demo` and `make test` set everything up by themselves; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
SOURCES := agent keeper scripts tools tests examples
# Ape compiles what has changed in the sources, but not when its settings have.
FORCE = $(if $(shell find .build/__local__.json ! -newer ape-config.yaml 2>/dev/null),--force)
# Ape's pytest plugin would start an Anvil for tests that do not use it.
PYTEST := $(BIN)/pytest -q -p no:ape_test

## -- What most people want ---------------------------------------------------------------------------------------

.PHONY: demo
demo: compile ## Run the whole path on a local chain: devnet, training, keeper, the bad day [PRESET=lending DATA= START= DAYS= STEPS= SEED= PORT=]
	@$(BIN)/python -m scripts.demo $(if $(PRESET),--preset $(PRESET)) $(if $(STEPS),--steps $(STEPS)) $(if $(DATA),--data "$(DATA)") $(if $(START),--start $(START)) $(if $(DAYS),--days $(DAYS)) $(if $(SEED),--seed $(SEED)) $(if $(PORT),--port $(PORT)) $(ARGS)

.PHONY: test
test: setup test-contracts test-python test-wheel test-ape test-fork test-e2e ## Run all tests
	@echo "All tests passed."

.PHONY: lint
lint: setup ## Check format, lint and types of Python and Solidity
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/forge fmt --check

## -- Parts -------------------------------------------------------------------------------------------------------

.PHONY: test-fast
test-fast: setup ## Run the tests that take under two minutes together: no invariants, no chain
	@FOUNDRY_FUZZ_RUNS=64 $(BIN)/forge test --no-match-path 'tests/contracts/invariants/*' >.fast.log 2>&1 & forge=$$!; \
	$(PYTEST) -m "not slow and not chain" -n 2; python=$$?; \
	wait $$forge; solidity=$$?; tail -n $$([ $$solidity = 0 ] && echo 1 || echo 100) .fast.log; rm -f .fast.log; \
	exit $$((python || solidity))

.PHONY: test-contracts
test-contracts: setup ## Run the Forge tests: unit, fuzz, invariants
	$(BIN)/forge test

.PHONY: test-python
test-python: setup ## Run the Python tests of agent and keeper (the keeper's on a real Anvil)
	@$(BIN)/forge build --silent
	$(PYTEST) -n 2

.PHONY: test-wheel
test-wheel: setup ## Build the wheel, install it alone into an empty venv, and try its commands there
	@$(BIN)/forge build --silent
	$(PYTEST) tests/wheel

.PHONY: test-ape
test-ape: setup ## Run the Ape tests: the vault on real Aave bytecode on Anvil
	$(BIN)/ape test tests/ape --network ethereum:local:foundry

.PHONY: test-fork
test-fork: setup ## Run the fork tests: a second Anvil forks a devnet through Ape's mainnet-fork network
	$(BIN)/ape test tests/fork --network ethereum:mainnet-fork:foundry

.PHONY: test-e2e
test-e2e: compile ## Run the end-to-end test: a short demo, and the ways it can go wrong
	$(PYTEST) tests/e2e

.PHONY: audit
audit: setup ## Run the deep checks of the contracts (about an hour) [ONLY=part ARGS="--all --json ..."]
	@$(BIN)/python -m tools.audit $(addprefix --only ,$(ONLY)) $(ARGS)

.PHONY: results
results: setup ## Run the walk-forwards on real history and write docs/RESULTS.md (under an hour) [DATA=../history SEEDS= SECONDS= ONLY= ARGS="--ray ..."]
	@OMP_NUM_THREADS=1 $(BIN)/python -m tools.results --data "$(if $(DATA),$(DATA),../history)" $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

.PHONY: history
history: setup ## Say which history files of `make results` are there, and how to get the others [DATA=../history ARGS="--build CLONES"]
	@$(BIN)/python -m tools.results.data "$(if $(DATA),$(DATA),../history)" $(ARGS)

.PHONY: gas
gas: setup ## Measure gas, write snapshots/ and show what changed since the commit [ARGS=--check]
	@$(BIN)/python -m tools.gas $(ARGS)

.PHONY: bench
bench: setup ## Measure the agent: speed, export, time to a good policy; a table and out/bench.json [ONLY=part ARGS="--quick --long 3600 --check ..."]
	@$(BIN)/python -m tools.bench $(addprefix --only ,$(ONLY)) $(ARGS)

.PHONY: structure
structure: setup ## Print the house in figures: files, lines, imports, arrows between rooms, circles
	@$(BIN)/python -m tools.structure $(ARGS)

.PHONY: docs
docs: setup ## Build the documentation site into out/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: format
format: setup ## Format Python and Solidity
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/forge fmt

.PHONY: devnet
devnet: setup ## Run a devnet in the foreground: Anvil with Aave V3 markets and Uniswap V3 [PORT=8545]
	@$(BIN)/ape run devnet $(if $(PORT),--port $(PORT))

.PHONY: abi
abi: setup ## Write the ABIs the keeper ships from the compiled contracts
	$(BIN)/forge build --silent
	$(BIN)/python -m keeper.chain.abi --write

## -- Housekeeping ------------------------------------------------------------------------------------------------

.PHONY: compile
compile: setup ## Compile the contracts with Ape
	@$(BIN)/ape compile $(FORCE) >.build.log 2>&1 || { cat .build.log; rm -f .build.log; exit 1; }; rm -f .build.log

.PHONY: setup
setup: ## Install everything from the lock files into .venv and node_modules
	@bash scripts/setup.sh

.PHONY: lock
lock: ## Resolve pyproject.toml with all extras into requirements.lock [ARGS=--upgrade]
	@$(BIN)/python -m tools.lock $(ARGS)

.PHONY: clean
clean: ## Remove what builds and runs have written
	rm -rf out .build .forge contracts/.cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: distclean
distclean: clean ## Remove the installed tools as well
	rm -rf .venv .venv-audit node_modules

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^## --/ {gsub(/^## -- | -+$$/, ""); printf "\n\033[1m%s\033[0m\n", $$0} /^[a-z0-9-]+:.*## / {printf "  \033[36m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
