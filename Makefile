# Everything below works on a fresh Debian or Ubuntu machine that has Python >= 3.11
# with pip, a JDK and a C compiler. Nothing is installed outside this folder except
# CellProfiler itself, which `cpengine cellprofiler install` keeps in CPENGINE_HOME, and
# the packages that the tests need: Podman, SLURM with its accounting, and Chromium.
PYTHON ?= python3
UV := .tools/uv/bin/uv
BIN := .venv/bin
DEMO ?= demo-plate
ZIG := 0.15.2
# The schemas come with the package: nothing is fetched.
SCHEMA := $(BIN)/check-jsonschema -q --builtin-schema vendor
BENCH_ARGS ?= --short
# Each part is a hundred kills, and the seed of their choices; the log has the figures of
# what is done, which is not done again.
CHAOS_PARTS ?= 1 2 3 4 5 6 7 8 9 10
CHAOS_LOG ?= chaos.log
# Processes that tests run in, more than two cores are: half of the time they wait. Which
# gets which test, tests/conftest.py says.
TEST_WORKERS ?= 3

.PHONY: demo test fast chaos setup lint types shape bench exact-all wheel sdist docs site \
  screenshots constraints clean

demo: setup            ## make a synthetic plate and run it through CellProfiler
	$(BIN)/cpengine demo $(DEMO)

test: setup            ## run the whole suite, with the real CellProfiler, SLURM and Chromium
	@sh tests/packages.sh
	$(BIN)/python -m pytest -n $(TEST_WORKERS) $(PYTEST_ARGS)

fast: lint types       ## the quick loop: lint, types and the tests that need Python alone
	$(BIN)/python -m pytest -n $(TEST_WORKERS) -m unit -q $(PYTEST_ARGS)

chaos: setup           ## kill at random, 1,000 times; again: go on where it was stopped
	@failed=0; for part in $(CHAOS_PARTS); do \
	  CPENGINE_CHAOS_KILLS=100 CPENGINE_CHAOS_SEED=$$part CPENGINE_CHAOS_LOG=$(CHAOS_LOG) \
	  $(BIN)/python -m pytest tests/chaos -q -s $(PYTEST_ARGS) || failed=1; \
	done; \
	$(BIN)/python -m tests.chaos.figures $(CHAOS_LOG); exit $$failed

setup: .venv/ready     ## Python environment and CellProfiler
	@$(BIN)/cpengine cellprofiler install --if-missing

lint: .venv/ready      ## format, lint, which room may know which, spelling, files for GitHub
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/codespell
	@$(SCHEMA).github-workflows .github/workflows/*.yml
	@$(SCHEMA).github-issue-forms .github/ISSUE_TEMPLATE/*_*.yml
	@$(SCHEMA).github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(SCHEMA).citation-file-format CITATION.cff

types: .venv/ready     ## mypy, strict on src
	$(BIN)/mypy

shape: .venv/ready     ## count lines of functions and files
	$(BIN)/python -m tests.shape

bench: setup           ## measure, each as a ratio against an alternative
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.publish
	$(BIN)/python -m benchmarks.staging
	$(BIN)/python -m benchmarks.plan 100000
	$(BIN)/python -m benchmarks.check $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.collect $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.report $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.estimate $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.quality $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.plate $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.efficiency $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.exact --rounds 2
	$(BIN)/python -m benchmarks.snakemake $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.remote $(BENCH_ARGS)
	@sh tests/packages.sh
	$(BIN)/python -m benchmarks.slurm $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.aws $(BENCH_ARGS)

# EXACT_PIPELINES names public pipelines, which are not in the repository.
exact-all: setup       ## accelerated modules against plain ones: processes, threads, BLAS kernels
	$(BIN)/python -m benchmarks.exact_all $(EXACT_PIPELINES) --save

wheel: .venv/ready     ## the wheel of a release, with kernels compiled for x86-64 and arm64
	$(UV) pip install --quiet --python $(BIN)/python --target .tools/zig ziglang==$(ZIG)
	PYTHONPATH=.tools/zig $(BIN)/python -m cpengine.cellprofiler.prebuild_kernels
	$(UV) build --quiet --wheel

sdist: $(UV)           ## the sources of a release
	$(UV) build --quiet --sdist

docs: .venv/ready      ## make the reference pages that repeat the code
	$(BIN)/python docs/generate.py

screenshots: setup     ## make the pictures of pages in docs/images, from a demo plate
	@sh tests/packages.sh
	$(BIN)/python -m tests.results.html.demo_pages docs/images

site: .venv/ready      ## the documentation as a site, in `site`; a page that is wrong fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

constraints: $(UV)     ## compile constraints.txt from pyproject.toml
	$(UV) pip compile pyproject.toml --all-extras --group dev --universal \
	  --python-version 3.11 --no-emit-index-url --no-header --upgrade -q -o constraints.txt

clean:                 ## remove what the other targets made
	rm -rf .venv .tools site $(DEMO) .mypy_cache .ruff_cache .pytest_cache

# uv goes into a folder of its own, so that neither venv nor root rights are needed.
$(UV):
	$(PYTHON) -m pip install --quiet --target .tools/uv uv

.venv/ready: pyproject.toml constraints.txt | $(UV)
	$(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e . --group dev
	@touch $@
