# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's clip can be rendered again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('pybullet', reason='no PyBullet here')

from sam2_ros.model.video_files import open_video
from sam2_ros.train import demo_clip


def test_the_shipped_clip_is_what_the_module_renders(tmp_path: Path) -> None:
    clip = Path(demo_clip.__file__).parents[1] / 'node' / 'demo_clip' / 'tabletop.webm'
    shipped = [frame.image for frame in open_video(clip, 1.0).frames()]
    assert len(shipped) == demo_clip.FRAMES
    table = demo_clip.Table(tmp_path)
    for index in (0, 60):
        image = shipped[index]
        assert image is not None
        # Compression; a frame too early or late differs by more than twice as much.
        assert np.abs(table.draw(index).astype(float) - image).mean() < 3.5
