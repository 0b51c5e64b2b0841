# Two commands matter on a fresh machine: `make demo` and `make test`. Both make
# their own virtual environment first. PYTHON= names an interpreter, VENV= a folder.

VENV := .venv
EXTRAS := dev
#: What `make chaos` runs: CHAOS="--seed 7" has one run again, with its story.
CHAOS := --seeds 1000
#: The tools that `make bench-peers` compares with. BENCH holds its options, as
#: "--rounds 1", or those of `make bench`, as "latency payload".
RIVALS := loky dask[distributed] ray ipyparallel
BENCH :=
#: Narrows `make test`: TESTS=tests/rules, or TESTS="-k board".
TESTS :=
#: `make test` runs several files at a time: tests/conftest.py says in which order, and
#: how many. More than four would have tests with real processes wait for each other.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Without its bytecode, each process of a grid would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(EXTRAS)
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed
TYPED := p2pslinger tests $(wildcard examples) $(wildcard benchmarks)

# Prints the first interpreter that is new enough and can make virtual environments.
# A pyenv shim exists whether or not there is a Python behind it, so each is tried.
define FIND_PYTHON
python=; new=; \
for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3 \
    $$HOME/.pyenv/versions/3.1[123]*/bin/python; do \
  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || continue; \
  new=$$candidate; \
  "$$candidate" -c 'import ensurepip, venv' 2>/dev/null || continue; \
  python=$$candidate; \
  break; \
done; \
if [ -z "$$python" ] && [ -n "$$new" ]; then \
  echo "$$new has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; \
  exit 1; \
elif [ -z "$$python" ]; then \
  echo "Python 3.11 or newer is needed; on Debian and Ubuntu:" \
    "apt install python3 python3-venv" >&2; \
  exit 1; \
fi
endef

.PHONY: help install demo test chaos check bench bench-peers format python clean

help:
	@echo "make demo    render a fractal on three local peers, into fractal.png"
	@echo "make install make the virtual environment, as the others do first"
	@echo "make test    run the test suite"
	@echo "make chaos   1,000 simulated grids under faults that chance has chosen"
	@echo "make check   formatting, lint and types"
	@echo "make bench   run every benchmark, then print all budgets and figures"
	@echo "make bench-peers  compare with other tools, into docs/benchmarks.md"
	@echo "make format  format the code"
	@echo "make clean   remove what the others made"

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/slinger demo

# The hash seed: a simulation that failed here fails again, in the same way.
test: $(STAMP)
	PYTHONHASHSEED=0 $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(TESTS)

chaos: $(STAMP)
	PYTHONHASHSEED=0 $(BIN)/python -m p2pslinger.testing.chaos $(CHAOS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(TYPED)

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(BENCH)

# The others live in an environment of their own; one that this Python can't have is
# left out, and docs/benchmarks.md says so.
bench-peers: $(PEERS_STAMP)
	$(PEERS)/bin/python -m benchmarks.peers $(BENCH)

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Which interpreter the virtual environment would be made with.
python:
	@$(FIND_PYTHON); echo "$$python"

clean:
	rm -rf .venv .venv-3.* .venv-peers build dist *.egg-info fractal.png
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find p2pslinger tests -name __pycache__ -prune -exec rm -rf {} +

# A virtual environment whose Python has been removed or replaced is made anew.
$(STAMP): setup.cfg pyproject.toml
	@$(FIND_PYTHON); anew=; \
	if [ -e $(VENV)/pyvenv.cfg ] && ! $(BIN)/python -c '' 2>/dev/null; then \
	  anew=--clear; \
	fi; \
	echo "making $(VENV) with $$python"; \
	"$$python" -m venv $$anew $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$(EXTRAS)]"
	@touch $@

$(PEERS_STAMP): setup.cfg pyproject.toml
	@$(FIND_PYTHON); echo "making $(PEERS) with $$python"; "$$python" -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	@for rival in $(RIVALS); do \
	  $(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check "$$rival" \
	    || echo "$$rival can't be installed on this Python: it is left out" >&2; \
	done
	@touch $@
