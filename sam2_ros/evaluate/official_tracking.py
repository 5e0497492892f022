# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official ``SAM2VideoPredictor`` on a video without end, frame by frame."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from sam2.sam2_video_predictor import SAM2VideoPredictor

from sam2_ros.evaluate.experiment import Readings
from sam2_ros.evaluate.scene import make_prompts
from sam2_ros.evaluate.tracking import STEP, tracking_name

#: Frames that the predictor is told of; it never gets that far.
_ENDLESS = 10**6
#: Which of our stages each method is; those of ``SAM2Base`` that ``track_step`` consists of.
_STAGES = {
    'forward_image': 'encode',
    '_prepare_memory_conditioned_features': 'memory_attention',
    '_forward_sam_heads': 'decode',
    '_encode_new_memory': 'memory_encode',
}


class OfficialTracking:
    """
    ``SAM2VideoPredictor.propagate_in_video`` on one picture again and again, eager, on the CPU.

    A step is from one frame's masks to the next one's, which are upscaled to the picture. The
    frames are resized and normalised before, as the predictor does when a video is opened.

    :param who: name of the official model.
    :param frames: how many frames make the memory full. Only the first is tracked, the others
        get the same memory: the work on later ones is the same as if they had made their own.
    """

    def __init__(
        self, who: str, model: Any, picture: npt.NDArray[np.uint8], objects: int, threads: int,
        frames: int,
    ) -> None:
        torch.set_num_threads(threads)
        self.name = tracking_name(who, objects)
        self._spent: dict[str, float] = {}
        predictor = video_predictor(model)
        height, width = picture.shape[:2]
        state = _open_endless(predictor, picture)
        for object_id, prompt in enumerate(make_prompts(objects, width, height)):
            predictor.add_new_points_or_box(
                state, 0, object_id, points=np.array(prompt.points, np.float32),
                labels=np.ones(len(prompt.points), np.int32))
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            for _ in predictor.propagate_in_video(state, max_frame_num_to_track=1):
                pass
            for outputs in state['output_dict_per_obj'].values():
                tracked = outputs['non_cond_frame_outputs']
                tracked.update((frame, tracked[1]) for frame in range(2, frames + 1))
            for method, stage in _STAGES.items():
                setattr(predictor, method, self._timed(stage, getattr(predictor, method)))
            self._masks = predictor.propagate_in_video(state, start_frame_idx=frames + 1)
            next(self._masks)  # makes the bar

    def run(self, run: int) -> Readings:
        """See ``Contender``."""
        self._spent.clear()
        begin = perf_counter()
        next(self._masks)
        return Readings({STEP: perf_counter() - begin, **self._spent})

    def _timed(self, stage: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            begin = perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                # once for each object
                self._spent[stage] = self._spent.get(stage, 0.0) + perf_counter() - begin
        return timed


def video_predictor(model: Any) -> Any:
    """
    Return the ``SAM2VideoPredictor`` that shares the weights of ``model``, a ``SAM2Base``.

    With the settings of ``sam2.build_sam.build_sam2_video_predictor``, except that holes are not
    filled: the official code does so with a CUDA kernel only and goes without on a CPU.
    """
    predictor = SAM2VideoPredictor.__new__(SAM2VideoPredictor)
    # What is set below and by the caller is the predictor's own, the modules are shared.
    predictor.__dict__.update(model.__dict__)
    predictor.binarize_mask_from_pts_for_mem_enc = True
    predictor.fill_hole_area = 0
    predictor.non_overlap_masks = False
    predictor.clear_non_cond_mem_around_input = False
    predictor.add_all_frames_to_correct_as_cond = False
    return predictor


def _open_endless(predictor: Any, picture: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Return the predictor's state of a video that shows ``picture`` for ever."""
    with tempfile.TemporaryDirectory() as folder:
        cv2.imwrite(str(Path(folder) / '0.jpg'), picture[..., ::-1])
        with contextlib.redirect_stderr(io.StringIO()):
            state: dict[str, Any] = predictor.init_state(folder)
    state['images'] = _Endless(state['images'][0])
    state['num_frames'] = _ENDLESS
    return state


class _Endless:
    """A video whose frames are all the same one."""

    def __init__(self, frame: torch.Tensor) -> None:
        self._frame = frame

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._frame
