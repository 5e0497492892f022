# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Training data and training of SAM 2 models (PyTorch; no ROS)."""
