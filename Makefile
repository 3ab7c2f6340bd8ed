# SPDX-License-Identifier: Apache-2.0
# make listen: build, install into .venv, caption the bundled sample.   make test: run the tests.
# make serve: the same with the server, whose page it shows.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LLAMA := llama-cpp-python==0.3.36
WHEELS := build/$(LLAMA)
INSTALL := $(BIN)/python -m pip install --quiet --find-links $(WHEELS)
SOURCES := pyproject.toml CMakeLists.txt $(shell find native edgestream models -type f \
  -not -name '*.pyc' -not -name '_native*' 2>/dev/null)

.PHONY: listen serve test dev clean

listen: $(VENV)/.installed
	$(BIN)/edgestream listen edgestream/data/person.flac

serve: $(VENV)/.served
	$(BIN)/edgestream serve --open

test: $(VENV)/.tested
	$(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile

$(VENV)/.python: tools/check/preflight.py
	@$(PYTHON) tools/check/preflight.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

# Most of the time goes into llama.cpp: it is compiled once, kept, and only as far as we use it.
$(WHEELS)/.built: export CMAKE_ARGS += "-DCMAKE_PROJECT_llama_cpp_INCLUDE=$(CURDIR)/native/llama_cpp.cmake"
$(WHEELS)/.built: | $(VENV)/.python
	@echo "Compiling llama.cpp, which takes about four minutes on two cores; this once."
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(WHEELS) '$(LLAMA)'
	@touch $@

$(VENV)/.installed: $(WHEELS)/.built $(SOURCES)
	$(INSTALL) '.[watch]'
	@touch $@

# Only what the server needs is added: pip takes the edgestream that is installed.
$(VENV)/.served: $(VENV)/.installed
	$(INSTALL) 'edgestream[serve]'
	@touch $@

# Only what the tests need is added, likewise.
$(VENV)/.tested: $(VENV)/.installed
	$(INSTALL) 'edgestream[test]'
	@touch $@

# For work on the project: an editable install that is rebuilt without an isolated environment.
dev: $(WHEELS)/.built
	$(INSTALL) 'scikit-build-core>=0.11' 'nanobind>=3.0' '$(LLAMA)'
	$(INSTALL) --no-build-isolation -C build-dir=build/dev -e '.[dev,bench]'

clean:
	rm -rf build $(VENV)
