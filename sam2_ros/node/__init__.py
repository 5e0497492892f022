# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 node: parameters, conversions, prompt sources, the worker, the managed node."""
