# Each target creates what it needs; `make demo` works on a fresh clone. Needs Python 3.11 or 3.12 (PYTHON=... names one).
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && exit; \
	done; echo python3)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable
PROTOS := protos/starweave_pb2.py protos/image_library_pb2.py protos/image_insight_pb2.py

.PHONY: demo serve test lint bench bench-quick quality verify verify-large soak fuzz proto readme
.SILENT:

# PROMPT="..." changes the prompt.
demo: export DEMO_PROMPT := $(value PROMPT)
demo: .venv/serve.stamp $(PROTOS)
	$(BIN)/starweave demo $(if $(value PROMPT),"$$DEMO_PROMPT")

serve: .venv/serve.stamp $(PROTOS)
	$(BIN)/starweave serve

test: .venv/develop.stamp $(PROTOS)
	$(BIN)/python -m pytest

lint: .venv/develop.stamp $(PROTOS)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/develop.stamp $(PROTOS)
	$(BIN)/python -m benchmarks

# How well the demo follows its prompts, and what its upscaler gains over interpolation.
quality: .venv/develop.stamp $(PROTOS)
	$(BIN)/python -m benchmarks.with_server benchmarks.adherence --size 128 --size 256
	$(BIN)/python -m benchmarks.upscaling

# In under 8 minutes: one family, fewer loads, trials and pictures.
bench-quick: .venv/develop.stamp $(PROTOS)
	$(BIN)/python -m benchmarks --quick

# What the tests run small, at full count, with a report; PARTS="..." runs some of it.
verify: .venv/develop.stamp $(PROTOS)
	$(BIN)/python -m benchmarks.verify $(PARTS)

# Only the checkpoints of real size, with a report of their own; each takes about 10 GB of disk, one after the other.
verify-large: .venv/develop.stamp $(PROTOS)
	$(BIN)/python -m benchmarks.verify large --results benchmarks/results/large

# A mixed load for SECONDS (600 where it is not set), with its figures in the report of `make verify`.
soak: .venv/develop.stamp $(PROTOS)
	$(BIN)/python -m benchmarks.soak $(if $(SECONDS),--seconds $(SECONDS))

# The fuzzing of the tests, far longer: every call, then picture files led by coverage (atheris).
fuzz: .venv/develop.stamp $(PROTOS)
	$(INSTALL) ".[fuzz]"
	FUZZ_EXAMPLES=3000 $(BIN)/python -m pytest tests/triton/test_fuzz.py -o timeout=0
	$(BIN)/python -m tests.fuzz_pictures -max_total_time=600 -timeout=30

# Writes README's generated parts.
readme: .venv/develop.stamp $(PROTOS)
	PYTHONPATH=backends/diffusion:. $(BIN)/python -m tests.readme

proto: $(PROTOS)

protos/%_pb2.py: protos/%.proto | .venv/serve.stamp
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. $<

$(BIN)/python:
	$(PYTHON) standalone/machine.py
	echo "Creating .venv with $$($(PYTHON) -V)."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade pip

# Serving needs no torch.
.venv/serve.stamp: pyproject.toml constraints.txt | $(BIN)/python
	echo "Installing what serving needs; the first time takes a minute or two."
	$(INSTALL) ".[serve]"
	touch $@

.venv/develop.stamp: pyproject.toml constraints.txt | $(BIN)/python
	echo "Installing what serving, exporting and testing need; the first time takes some minutes."
	$(INSTALL) ".[serve,export,test,bench]"
	touch $@ .venv/serve.stamp
