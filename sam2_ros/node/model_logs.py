# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the model layer logs, in the node's log."""

from __future__ import annotations

import logging
from typing import Any


class _RosHandler(logging.Handler):
    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        # One call for each level: rclpy ties a call in the source to one level.
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        elif record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:
            self._logger.info(record.getMessage())


def model_logs_to(logger: Any) -> None:
    """Send what `sam2_ros` logs through Python's logging to a ROS logger from now on."""
    python_logger = logging.getLogger('sam2_ros')
    python_logger.handlers = [_RosHandler(logger)]
    python_logger.setLevel(logging.INFO)
    python_logger.propagate = False
