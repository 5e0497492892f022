# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The module for pip: a workstation that exports and evaluates needs no ROS (see setup.cfg)."""

from setuptools import setup

setup()
