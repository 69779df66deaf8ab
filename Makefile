# Understudy. Two commands matter: `make demo` and `make test`; both set everything up by themselves.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: help setup demo test lint layers types check package package-if-possible coverage-page lock bench seeds peers clean

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
# Many tests wait for real processes, so twice as many workers as cores keep the cores busy.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

help:
	@echo "make demo     the whole story on a local cloud: backups, prune, rebuild, failover"
	@echo "make test     the test suite"
	@echo "make check    what CI runs: format, lint, layers, types, tests"
	@echo "make seeds    10,000 drawn bad days of a pair of masters, on virtual time"
	@echo "make package  build/code/: what is deployed (needs CPython 3.12)"
	@echo "make coverage-page  docs/emulator-coverage.md and the catalogue of the SDKs' calls, from the code"
	@echo "make lock     re-resolve requirements/*.txt from *.in"

# CPython 3.12 is the runtime, 3.11 also works. A name on PATH proves nothing (pyenv's shims exist for versions that do
# not run), so each candidate is run before it is believed. PYTHON=... is taken or refused, never replaced.
$(STAMP): requirements/bootstrap.txt requirements/dev.txt
	@found=""
	fits() { [ -n "$$1" ] && "$$1" -c 'import sys, venv, ensurepip; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:] or sys.implementation.name != "cpython")' "$${@:2}" >/dev/null 2>&1; }
	newest_pyenv() { command -v pyenv >/dev/null 2>&1 && pyenv prefix "$$(pyenv versions --bare 2>/dev/null | grep -E "^$$1(\.|$$)" | sort -V | tail -n 1)" 2>/dev/null || true; }
	if [ -n "$${PYTHON:-}" ]; then
	  if fits "$$PYTHON" 3.12 3.11; then found="$$PYTHON"; fi
	else
	  for version in 3.12 3.11; do
	    prefix="$$(newest_pyenv $$version)"
	    for candidate in "python$$version" "$${prefix:+$$prefix/bin/python}" python3 python; do
	      if fits "$$candidate" $$version; then found="$$candidate"; break 2; fi
	    done
	  done
	fi
	if [ -z "$$found" ]; then
	  echo "understudy: no CPython 3.12 or 3.11 with venv was found (tried $${PYTHON:-python3.12, python3.11, pyenv, python3, python})." >&2
	  echo "            Install one (Debian: apt-get install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3.12" >&2
	  exit 2
	fi
	echo "setup: $$("$$found" --version) -> $(VENV)"
	rm -rf $(VENV)
	"$$found" -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	# uv is many times faster but does not read pip's configuration, where a mirror may be named: then pip does it.
	$(VENV)/bin/uv pip install --quiet --system-certs --compile-bytecode --python $(PY) --require-hashes -r requirements/dev.txt || {
	  echo "setup: uv could not install the dependencies (see above), trying pip, which takes longer"
	  $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	}
	printf '%s\n' '#!/bin/sh' 'here="$$(cd "$$(dirname "$$0")" && pwd)"' \
	  'PYTHONPATH="$$here/../..$${PYTHONPATH:+:$$PYTHONPATH}" exec "$$here/python" -m understudy "$$@"' > $(VENV)/bin/understudy
	chmod +x $(VENV)/bin/understudy
	touch $(STAMP)

setup: $(STAMP)

demo: $(STAMP)
	@$(PY) -m understudy.demo $(DEMO_ARGS)

test: $(STAMP)
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal $(TEST_ARGS)

lint: $(STAMP)
	@$(PY) -m ruff format --check .
	$(PY) -m ruff check .

layers: $(STAMP)
	@$(VENV)/bin/lint-imports --no-cache

types: $(STAMP)
	@$(PY) -m mypy

check: lint layers types package-if-possible test

# The tests look into the package when there is one; only CPython 3.12 can build it.
package-if-possible: $(STAMP)
	@if $(PY) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))'; then $(PY) deploy/package.py; else echo "package: left out, it needs CPython 3.12"; fi

package: $(STAMP)
	@$(PY) deploy/package.py

bench: $(STAMP)
	@$(PY) -m bench $(BENCH_ARGS)

# Drawn bad days of a pair of masters on virtual time; docs/simulation.md.
seeds: $(STAMP)
	@$(PY) -m bench.seeds $(SEEDS_ARGS)

# What bench.backup is compared with, in an environment of its own: it would bring 60 packages into ours.
peers: $(STAMP)
	@$(VENV)/bin/uv venv --quiet --python $(PY) .venv-peers
	$(VENV)/bin/uv pip install --quiet --system-certs --python .venv-peers/bin/python --require-hashes -r requirements/peers.txt

# What the emulator models, from its code; the catalogue of the SDKs' calls first, as the page reads it.
coverage-page: $(STAMP)
	@$(PY) -m tests.emulator.official
	$(PY) -m emulator coverage > docs/emulator-coverage.md

lock: $(STAMP)
	@for group in bootstrap runtime cli emulator dev peers; do
	  $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links requirements/$$group.in -o requirements/$$group.txt
	done

clean:
	@rm -rf build reports .pytest_cache .mypy_cache .ruff_cache .hypothesis
