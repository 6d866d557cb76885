# Everything happens in a virtual environment of its own, .venv; nothing else on the machine changes.
PYTHON ?= python3
VENV := .venv

.PHONY: demo test lint clean

demo: $(VENV)/ready
	-$(VENV)/bin/pip install --no-deps generateme==0.1.2  # the faces; without, avatars alone
	$(VENV)/bin/jaxlatent demo -o demo

test: $(VENV)/ready
	$(VENV)/bin/pip install -e '.[test]'
	$(VENV)/bin/pip install --no-deps generateme==0.1.2
	$(VENV)/bin/python -m pytest -n 2

lint: $(VENV)/ready
	$(VENV)/bin/pip install -e '.[dev]'
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -e .
	touch $@

clean:
	rm -rf $(VENV) demo
