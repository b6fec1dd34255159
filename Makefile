# The course's commands; the logic lives in `python -m autograder` and `book/build.py`.
.DEFAULT_GOAL := all
SHELL := /bin/sh

PYTHON ?= python3
LAB ?= $(error Name a lab with LAB=..., one of: $(notdir $(wildcard solutions/lab*)))
SUBMISSIONS ?= submitted
OUT ?= build/grades/$(LAB)
COURSE ?= build/course
PORT ?= 8000
PYTEST_ARGS ?= -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

VENV := .venv
PY := $(firstword $(wildcard $(VENV)/Scripts/python.exe) $(VENV)/bin/python)
INSTALLED := $(VENV)/.installed
STAMPS := build/stamps

# What a step reads: when none of it is newer than the step's stamp, there is nothing to do.
sources = $(shell find $(1) -type f -not -path '*/__pycache__/*' -not -path '*/_build/*' \
	-not -path '*/node_modules/*' -not -path '*.egg-info/*' -not -path 'book/labs/*' 2>/dev/null)
LAB_SOURCES := $(call sources,autograder solutions labs/labkit)
BOOK_SOURCES := $(call sources,book benchmarks/results)

.PHONY: all
all: $(STAMPS)/book $(STAMPS)/sample  ## set up, build labs and website, grade the sample class
	@$(PY) -m autograder places

.PHONY: setup
setup: $(INSTALLED)  ## make .venv and install the course into it

$(INSTALLED): requirements.txt pyproject.toml labs/pyproject.toml bootstrap.py
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name yours with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) bootstrap.py

$(STAMPS)/labs: $(INSTALLED) $(LAB_SOURCES)
	$(PY) -m autograder build
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/book: $(STAMPS)/labs $(BOOK_SOURCES)
	$(PY) book/build.py
	@touch $@

$(STAMPS)/sample: $(STAMPS)/labs
	$(PY) -m autograder sample
	@touch $@

.PHONY: test
test: $(STAMPS)/book $(STAMPS)/sample  ## the whole test suite, as CI runs it
	$(PY) -m pytest $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: $(INSTALLED)  ## try what arrives from students on many new random inputs: [EXAMPLES=2000]
	FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(PY) -m pytest -n0 -q tests/test_fuzz.py

.PHONY: book
book: $(STAMPS)/book  ## the website, in book/_build/html

.PHONY: serve
serve: $(STAMPS)/labs  ## the website on a local port (PORT=8000), rebuilt on change
	$(PY) book/build.py --serve $(PORT)

.PHONY: labs
labs: $(INSTALLED)  ## regenerate labs/ from solutions/
	$(PY) -m autograder build
	@mkdir -p $(STAMPS) && touch $(STAMPS)/labs

.PHONY: labs-check
labs-check: $(INSTALLED)  ## fail if regenerating labs/ changes a byte
	$(PY) -m autograder build --check

.PHONY: grade
grade: $(STAMPS)/labs  ## grade a class: LAB=labNN_topic SUBMISSIONS=dir [OUT=dir]
	$(PY) -m autograder grade $(LAB) --submissions $(SUBMISSIONS) --out $(OUT) --course $(COURSE)

.PHONY: report
report: $(INSTALLED)  ## write the class report again from recorded results: LAB=labNN_topic [OUT=dir]
	$(PY) -m autograder report $(LAB) --out $(OUT) --course $(COURSE)

.PHONY: formgrader
formgrader: $(STAMPS)/labs  ## nbgrader's own interface on the gradebook, in a browser [COURSE=build/course]
	$(PY) -m autograder formgrader --course $(COURSE)

.PHONY: bench
bench: $(INSTALLED)  ## measure this machine; writes benchmarks/results/
	$(PY) -m benchmarks

.PHONY: bench-grading
bench-grading: $(INSTALLED)  ## measure grading against stock nbgrader; writes benchmarks/results/
	$(PY) -m benchmarks grading

.PHONY: gpu
gpu: $(INSTALLED)  ## every lab at GPU size on a GPU; writes benchmarks/results/
	$(PY) -m benchmarks --gpu

.PHONY: train-showcase
train-showcase: $(INSTALLED)  ## train the agents that the book's films show: [AGENT=lunar_lander]
	$(PY) -m benchmarks.showcase $(AGENT)

.PHONY: bundle
bundle: $(STAMPS)/labs  ## dist/student.zip, dist/instructor.zip and a zip per lab
	$(PY) -m autograder bundle

.PHONY: submit
submit: $(INSTALLED)  ## validate and zip a student's lab: LAB=labNN_topic
	$(PY) -m autograder submit $(LAB)

.PHONY: new-lab
new-lab: $(INSTALLED)  ## a lab and a chapter from the template: NAME=lab13_topic
	$(PY) -m autograder new-lab $(NAME)

.PHONY: lint
lint: $(INSTALLED)  ## ruff, mypy, import-linter, codespell
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(dir $(PY))lint-imports
	$(dir $(PY))codespell

.PHONY: doctor
doctor: $(INSTALLED)  ## say what works on this machine, and how to get what doesn't
	$(PY) -m autograder doctor

.PHONY: clean
clean:  ## remove what was built (labs/ and .venv stay)
	rm -rf build dist book/_build

.PHONY: help
help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-24s %s\n", $$1, $$2 }'
