# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official video predictor on PyTorch as a contender."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from sam2_ros.evaluate.accuracy import Mask
from sam2_ros.evaluate.davis import Clip
from sam2_ros.evaluate.official_predictor import resized
from sam2_ros.evaluate.official_tracking import video_predictor
from sam2_ros.evaluate.samples import PYTORCH
from sam2_ros.evaluate.trackers import Start
from sam2_ros.export.configs import MEAN, STD


class OfficialTracker:
    """
    ``SAM2VideoPredictor`` on frames that are read when it asks for them.

    They are resized as ``SAM2ImagePredictor`` does it, which is what a bundle does, too; the
    predictor's own reader takes another filter. It knows every prompt before it starts, and would
    carry one back to earlier frames, which a stream cannot: objects that begin on another frame
    get a state of their own, which begins there.
    """

    name = PYTORCH

    def __init__(self, model: Any) -> None:
        self._predictor = video_predictor(model)
        # What `SAM2Base._prepare_memory_conditioned_features` looks back at, at most.
        self._memory = max(
            model.num_maskmem * model.memory_temporal_stride_for_eval,
            model.max_obj_ptrs_in_encoder)

    def track(self, clip: Clip, starts: Sequence[Start]) -> Iterator[Mapping[int, Mask]]:
        """See ``TrackingContender``."""
        waiting = {frame: list(group) for frame, group in groupby(
            sorted(starts, key=lambda start: start.frame), lambda start: start.frame)}
        running: list[Iterator[dict[int, Mask]]] = []
        for index in range(len(clip)):
            if index in waiting:
                running.append(self._propagate(clip, waiting.pop(index)))
            answers: dict[int, Mask] = {}
            for each in running:
                answers |= next(each)
            yield answers

    def _propagate(self, clip: Clip, starts: Sequence[Start]) -> Iterator[dict[int, Mask]]:
        """Yield the masks of objects that begin on the same frame, from this frame on."""
        state = self._open(clip)
        for start in starts:
            if isinstance(start.prompt, np.ndarray):
                self._predictor.add_new_mask(state, start.frame, start.object_id, start.prompt)
                continue
            points, box = start.prompt.points, start.prompt.box
            self._predictor.add_new_points_or_box(
                state, start.frame, start.object_id, points=points.astype(np.float32),
                labels=start.prompt.labels, box=None if box is None else box.astype(np.float32))
        masks = self._predictor.propagate_in_video(state, start_frame_idx=starts[0].frame)
        for _ in range(starts[0].frame, len(clip)):
            with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
                index, object_ids, logits = next(masks)
            for outputs in state['output_dict_per_obj'].values():
                outputs['non_cond_frame_outputs'].pop(index - self._memory - 1, None)
            yield dict(zip(object_ids, (logits[:, 0] > 0).numpy(), strict=True))

    def _open(self, clip: Clip) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            # For the size of the clip: the predictor opens folders of JPEG files only.
            cv2.imwrite(str(Path(folder) / '0.jpg'), np.zeros_like(clip.image(0)))
            with contextlib.redirect_stderr(io.StringIO()):
                state: dict[str, Any] = self._predictor.init_state(folder)
        state['images'] = _Frames(clip, self._predictor.image_size)
        state['num_frames'] = len(clip)
        state['cached_features'].clear()
        return state


class _Frames:
    """The frames of a clip as the predictor keeps them: normalised, [3, size, size]."""

    def __init__(self, clip: Clip, size: int) -> None:
        self._clip = clip
        self._size = size

    def __getitem__(self, index: int) -> Tensor:
        pixels = resized(self._clip.image(index), self._size) / 255.0
        normal = (pixels - torch.tensor(MEAN)) / torch.tensor(STD)
        return normal[0].permute(2, 0, 1)
