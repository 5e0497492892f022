# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# What a newcomer types. Everything lands inside the checkout: .venv, build, install, log, output.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# the targets share one .venv and one build
.NOTPARALLEL:
.PHONY: help setup build demo test bench bundle lint clean

# more arguments for pytest: make test PYTEST_ARGS='test/model -k parity'
PYTEST_ARGS ?=
# more arguments for the benchmark: make bench BENCH_ARGS='--runs 100'
BENCH_ARGS ?=
# speed does not depend on the weights, so random ones do
BENCH_BUNDLE ?= build/benchmark/sam2.1_tiny
# results are never overwritten, so that --compare has something to hold new ones against
BENCH_OUTPUT := output/benchmark_$(shell date +%Y%m%d_%H%M%S)
# other weights for the model that comes with the package: make bundle CHECKPOINT=runs/sam2_nano/best.pt
CHECKPOINT ?= $(shipped)

shipped := sam2_ros/export/sam2_nano.pt
in_environment = . .ci/environment.sh &&
# a bundle is made anew when one of these has changed
exporter := $(wildcard sam2_ros/export/*.py sam2_ros/export/*.yaml) sam2_ros/model/bundle.py

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## .venv with all that is needed; uses a ROS 2 that is sourced, brings its own otherwise
	@.ci/setup

build:  ## the messages and the package, with colcon; needs and brings no PyTorch
	@.ci/setup run-time && .ci/build

demo: build  ## photographs, a clip and clicks for the node: output/demo
	@$(in_environment) sam2-ros demo --output output/demo

test: setup build  ## all tests
	@$(in_environment) pytest $(PYTEST_ARGS)

bench: $(BENCH_BUNDLE)/manifest.json  ## latency and memory of SAM 2.1 tiny beside PyTorch, and of the node, into output/
	@$(in_environment) sam2-ros benchmark $(BENCH_BUNDLE) --provider cpu --pytorch \
	  --output $(BENCH_OUTPUT) $(BENCH_ARGS)
	@$(in_environment) sam2-ros benchmark $(BENCH_BUNDLE) --provider cpu --ros \
	  --output $(BENCH_OUTPUT)_node $(BENCH_ARGS)

$(BENCH_BUNDLE)/manifest.json: $(exporter) | setup build
	@$(in_environment) sam2-ros export --model sam2.1_tiny --random-weights --force --output $(BENCH_BUNDLE)

bundle: setup build  ## export the model that comes with the package anew
	@[ $(CHECKPOINT) -ef $(shipped) ] || cp $(CHECKPOINT) $(shipped)
	@$(in_environment) sam2-ros export --model sam2_nano --output sam2_ros/model/sam2_nano --force

lint: setup  ## ruff and mypy
	@.venv/bin/ruff check . && .venv/bin/mypy

clean:  ## forget the build and the results; .venv stays
	rm -rf build install log output
