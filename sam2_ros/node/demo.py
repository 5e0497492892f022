# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The demo: what a camera, a person with a mouse and a user of the masks do around the node.

It speaks with the node through ROS only: the node is a process of its own, with a parameter file.
"""

from __future__ import annotations

import os
from pathlib import Path

from sam2_ros.model.bundle import Bundle
from sam2_ros.node.demo_clip import show_clip
from sam2_ros.node.demo_node import DemoError
from sam2_ros.node.demo_photographs import show_photographs


def run_demo(bundle: Path, output: Path, provider: str) -> list[str]:
    """
    Show photographs and a clip to a node with this bundle; write to ``output`` what it answers.

    Returns what got no mask.

    :raises Sam2RosError: the bundle is unusable, the node does not start, or ``output`` cannot be
        made.
    """
    can_track = Bundle.load(bundle).can_track
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f'{output}: cannot be written to ({error.strerror})') from None
    namespace = f'/sam2_demo_{os.getpid()}'
    missing = show_photographs(bundle, output, provider, namespace)
    if can_track:
        missing += show_clip(bundle, output, provider, namespace)
    else:
        print(f'{bundle} cannot track; export it without --image-only to see the clip')
    return missing
