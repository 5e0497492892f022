# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From SAM 2 checkpoints to bundles of ONNX graphs; needs PyTorch and sam2."""
