# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Segment anything a robot is pointed at: SAM 2 through ONNX Runtime in ROS 2."""

__version__ = '0.1.0'
