# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of the exporter."""

from __future__ import annotations

from sam2_ros.model.errors import Sam2RosError


class ExportError(Sam2RosError):
    """A checkpoint cannot be exported as asked, or what came out is not what PyTorch computes."""
