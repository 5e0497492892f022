# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of training."""

from __future__ import annotations

from sam2_ros.model.errors import Sam2RosError


class TrainError(Sam2RosError):
    """A training run cannot start, or cannot go on, as its config file asks."""
