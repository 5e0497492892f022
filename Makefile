# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# What a newcomer types. Everything lands inside the checkout: .venv, build, install, log, output.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build demo test bench lint clean

# more arguments for pytest: make test PYTEST_ARGS='test/model -k parity'
PYTEST_ARGS ?=
# more arguments for the benchmark: make bench BENCH_ARGS='--runs 100'
BENCH_ARGS ?=
# speed does not depend on the weights, so random ones do
BENCH_BUNDLE ?= build/benchmark/sam2.1_tiny

in_environment = . .ci/environment.sh &&
# a bundle is made anew when one of these has changed
exporter := $(wildcard sam2_ros/export/*.py sam2_ros/export/*.yaml) sam2_ros/model/bundle.py

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## .venv with all that is needed; uses a ROS 2 that is sourced, brings its own otherwise
	@.ci/setup

build: setup  ## the messages and the package, with colcon
	@.ci/build

demo: output/sam2_nano/manifest.json  ## photographs, a clip and clicks for the node: output/demo
	@$(in_environment) sam2-ros demo output/sam2_nano --output output/demo

# The prototype model: small, and trained on tabletop scenes only.
output/sam2_nano/manifest.json: $(exporter) sam2_ros/export/sam2_nano.pt | build
	@$(in_environment) sam2-ros export --model sam2_nano --output output/sam2_nano --force \
	  --checkpoint sam2_ros/export/sam2_nano.pt

test: build  ## all tests
	@$(in_environment) pytest $(PYTEST_ARGS)

bench: build $(BENCH_BUNDLE)/manifest.json  ## latency and memory of SAM 2.1 tiny beside PyTorch, into output/benchmark
	@$(in_environment) sam2-ros benchmark $(BENCH_BUNDLE) --provider cpu --against-pytorch --ros \
	  --output output/benchmark $(BENCH_ARGS)

$(BENCH_BUNDLE)/manifest.json: $(exporter) | build
	@$(in_environment) sam2-ros export --model sam2.1_tiny --random-weights --force --output $(BENCH_BUNDLE)

lint: setup  ## ruff and mypy
	@.venv/bin/ruff check . && .venv/bin/mypy

clean:  ## forget the build and the results; .venv stays
	rm -rf build install log output
