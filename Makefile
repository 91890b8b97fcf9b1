PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help quickstart test test-all fuzz lint reproduce clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s%s\n", $$1, $$2}' Makefile

quickstart: $(VENV)/.installed  ## Set up, then train and test on the embedded sample: half a minute on two cores, no network
	$(BIN)/python -m spam_classifier.train fit --config configs/quickstart.yaml
	$(BIN)/python -m spam_classifier.train test

test: $(VENV)/.installed-dev  ## Set up, then run the tests: five minutes on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not ci"

test-all: $(VENV)/.installed-dev  ## Also run exhaustive matrices, repeated kills and the benchmark scripts
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

fuzz: $(VENV)/.installed-dev  ## Feed 10,000 new hostile inputs to every reader: half an hour on two cores
	$(BIN)/python -m pytest -n 2 tests/fuzz --hypothesis-profile fuzz --hypothesis-show-statistics

lint: $(VENV)/.installed-dev  ## Check style, types, the GitHub workflows and CITATION.cff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format --default-filetype yaml CITATION.cff
	$(BIN)/zizmor --offline --quiet .github

reproduce: $(VENV)/.installed  ## Run the book's recipe with the true GPT-2 weights and compare with its figures
	$(BIN)/python benchmarks/reproduce_book.py

clean:  ## Remove the virtual environment
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --upgrade "pip>=25.1"  # the first with --group
	$(BIN)/pip install --constraint constraints.txt --editable ".[baseline,export,metrics,parquet,search,serve]" --group dev
	@touch $@
