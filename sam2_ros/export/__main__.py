# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m sam2_ros.export``: the same as ``sam2-ros export``."""

import sys

from sam2_ros.cli import main

if __name__ == '__main__':
    sys.exit(main(['export', *sys.argv[1:]]))
