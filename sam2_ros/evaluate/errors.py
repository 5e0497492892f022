# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stops a measurement."""

from sam2_ros.model.errors import Sam2RosError


class BenchmarkError(Sam2RosError):
    """A measurement cannot be made, or cannot be kept."""


class EvaluationError(Sam2RosError):
    """An evaluation cannot be made, or cannot be kept."""


class ResultsError(Sam2RosError):
    """Results cannot be written, or not be gone on with."""
