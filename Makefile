# SPDX-License-Identifier: Apache-2.0
# make listen: build, install into .venv, caption the bundled sample.   make test: run the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml CMakeLists.txt $(shell find native edgestream models -type f \
  -not -name '*.pyc' -not -name '_native*' 2>/dev/null)

.PHONY: listen test dev clean

listen: $(VENV)/.installed
	$(BIN)/edgestream listen edgestream/data/person.flac

test: $(VENV)/.tested
	$(BIN)/pytest -q

$(VENV)/.python: tools/check/preflight.py
	@$(PYTHON) tools/check/preflight.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python $(SOURCES)
	@echo "Building edgestream; the first time takes about five minutes (llama.cpp is compiled)."
	$(BIN)/python -m pip install --quiet .
	@touch $@

$(VENV)/.tested: $(VENV)/.python $(SOURCES)
	@echo "Building edgestream; the first time takes about five minutes (llama.cpp is compiled)."
	$(BIN)/python -m pip install --quiet '.[test]'
	@touch $@ $(VENV)/.installed

# For work on the project: an editable install that is rebuilt without an isolated environment.
dev: $(VENV)/.python
	$(BIN)/python -m pip install --quiet 'scikit-build-core>=0.11' 'nanobind>=3.0' 'llama-cpp-python==0.3.36'
	$(BIN)/python -m pip install --quiet --no-build-isolation -C build-dir=build/dev -e '.[dev,bench]'

clean:
	rm -rf build $(VENV)
