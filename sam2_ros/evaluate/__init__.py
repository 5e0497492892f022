# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy and latency of a bundle, on this machine."""
