# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two things that the node can do with prompts and frames, and how one of them is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from sam2_ros.model.bundle import Bundle, shipped_bundle
from sam2_ros.model.errors import BundleError
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import ImageSegmenter
from sam2_ros.model.video_tracker import VideoTracker
from sam2_ros.node.answers import Answer, Answered, KnownObject
from sam2_ros.node.diagnostics import Statistics
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.object_tracking import ObjectTracking, tracking_options
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest
from sam2_ros.node.prompt_segmentation import PromptSegmentation


class Mode(Protocol):
    """
    Answers prompts, and frames. Only the worker calls its methods.

    The properties may be read, and `check` called, by any thread.
    """

    @property
    def name(self) -> str:
        """What parameter `mode` calls it."""

    @property
    def objects(self) -> tuple[KnownObject, ...]:
        """The objects that can be refined, the one prompted last at the end."""

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames of which the model still knows all that a prompt needs."""

    @property
    def wants_frames(self) -> bool:
        """Say whether it has use for new frames."""

    @property
    def last_timings(self) -> dict[str, float]:
        """Seconds that each stage of the model took when it last ran."""

    def check(self, settings: Settings) -> None:
        """:raises OptionError: the settings ask for more than the model can do."""

    def follow(self, frame: Frame) -> Answer | None:
        """Do with a new frame what is to be done without a prompt; raises ImageError."""

    def answer(self, frame: Frame, requests: Sequence[PromptRequest]) -> Answered:
        """
        Answer prompts on a frame; why some cannot be answered stands in `Answered.refused`.

        Raised is only what keeps all of them from being answered: ONNX Runtime failed.
        """

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError if there is none of that id."""

    def reset(self) -> int:
        """Forget all objects and begin with id 1 again; returns how many there were."""

    def forget_frames(self) -> None:
        """Let no prompt mean a frame that came until now."""


def load_mode(
    settings: Callable[[], Settings], statistics: Statistics, notice: Callable[[str], None],
) -> tuple[Mode, ImageSegmenter]:
    """
    Load the model that the settings name, warmed up, for the mode that they ask for.

    Returns the mode, and a segmenter of single images that shares its graphs.

    :raises BundleError: the bundle is missing or damaged, or cannot do what is asked.
    :raises ProviderError: the provider cannot be had.
    :raises OptionError: the settings ask for more than the model can do.
    """
    now = settings()
    bundle = Bundle.load(now.bundle or shipped_bundle())
    options = ProviderOptions(
        threads=now.threads, device_id=now.device_id, fp16=now.fp16,
        cache_dir=Path(now.cache_dir).expanduser() if now.cache_dir else None)
    if now.mode == 'track' and not bundle.can_track:
        raise BundleError(f'{bundle.path}: mode is track, but this bundle can only segment '
                          'images; export it without --image-only, or set mode to prompt')
    if now.mode == 'prompt' or not bundle.can_track:
        segmenter = ImageSegmenter(bundle, now.provider, options)
        segmenter.warm_up()
        return PromptSegmentation(segmenter, settings), segmenter
    tracker = VideoTracker(bundle, now.provider, options, tracking_options(now))
    tracker.warm_up()
    return ObjectTracking(tracker, settings, statistics, notice), tracker.segmenter
