# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of work that are measured, each in this process and through the node."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from sam2_ros.evaluate import latency, tracking
from sam2_ros.evaluate.camera import CameraFacts
from sam2_ros.evaluate.cold_start import SEGMENTATION, TRACKING
from sam2_ros.evaluate.parts import Part
from sam2_ros.evaluate.samples import NODE, OURS, PYTORCH, Samples
from sam2_ros.evaluate.tracking import OurTracking, frames_to_full_memory, tracking_name
from sam2_ros.model.bundle import Bundle
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import ImageSegmenter


@dataclass(frozen=True)
class Setting:
    """
    What all that is measured has in common.

    ``model``: the official one, None: not wanted; ``node_folder``: for what the node writes, None:
    no node is wanted.
    """

    bundle: Bundle
    provider: str
    threads: int
    picture: npt.NDArray[np.uint8]
    model: Any
    node_folder: Path | None

    @property
    def provider_options(self) -> ProviderOptions:
        """Options for whoever loads the bundle."""
        return ProviderOptions(threads=self.threads)

    def running_node(self, mode: str) -> Any:
        """Return a node that can be started, None if it is not wanted."""
        if self.node_folder is None:
            return None
        from sam2_ros.evaluate.running_node import RunningNode

        return RunningNode(self.bundle.path, self.provider, self.threads, self.node_folder, mode)


class Work(Protocol):
    """A kind of work: ``processes`` are started for the time to the loaded model."""

    part: Part
    processes: int
    node: Any

    def run_stages(self) -> None:
        """Measure the stages in this process."""

    def run_node(self) -> None:
        """Measure the node, which runs."""


class Segmentation:
    """Images and prompts."""

    processes = 3  # one alone may have met a cold disk

    def __init__(self, setting: Setting, runs: int) -> None:
        self._setting = setting
        self.part = Part(
            SEGMENTATION, runs, (latency.OBJECTS[0], latency.OBJECTS[-1]),
            ((OURS, PYTORCH),), Samples(OURS, PYTORCH, NODE))
        self.node = setting.running_node('prompt')

    def run_stages(self) -> None:
        """See ``Work``."""
        setting = self._setting
        contenders: list[Any] = [latency.OurStages(
            ImageSegmenter(setting.bundle, setting.provider, setting.provider_options),
            setting.picture)]
        if setting.model is not None:
            from sam2_ros.evaluate.official import OfficialStages

            contenders.append(OfficialStages(
                setting.model, setting.picture, setting.bundle.manifest.image_size,
                setting.threads))
        with progress(f'{self.part.name}: stages', self.part.runs) as step:
            latency.measure(contenders, self.part.runs, self.part.samples, step)

    def run_node(self) -> None:
        """See ``Work``."""
        with progress(f'{self.part.name}: node', self.part.runs) as step:
            self.node.measure_prompts(
                self._setting.picture, self.part.runs, _to_node(self.part, step))


class Tracking:
    """Frames with full memory."""

    processes = 1  # the disk is warm by now, and this one takes long

    def __init__(self, setting: Setting, runs: int, camera_rate: float) -> None:
        self._setting = setting
        self._camera_rate = camera_rate
        self._frames = frames_to_full_memory(setting.bundle)
        pairs = tuple((tracking_name(OURS, objects), tracking_name(PYTORCH, objects))
                      for objects in tracking.OBJECTS)
        self.part = Part(
            TRACKING, runs, (tracking.OBJECTS[0], tracking.OBJECTS[-1]), pairs,
            Samples(*(ours for ours, _ in pairs), *(theirs for _, theirs in pairs), NODE))
        self.node = setting.running_node('track')

    def run_stages(self) -> None:
        """See ``Work``."""
        setting = self._setting
        contenders: list[Any] = []
        total = self._frames * len(tracking.OBJECTS)
        with progress(f'{self.part.name}: fill memory', total) as step:
            for objects in tracking.OBJECTS:
                contenders.append(OurTracking(
                    setting.bundle, setting.provider, setting.provider_options, setting.picture,
                    objects, step))
        if setting.model is not None:
            from sam2_ros.evaluate.official_tracking import OfficialTracking

            contenders += [
                OfficialTracking(
                    setting.model, setting.picture, objects, setting.threads, self._frames)
                for objects in tracking.OBJECTS]
        with progress(f'{self.part.name}: stages', self.part.runs) as step:
            # Nothing is left to warm up.
            latency.measure(contenders, self.part.runs, self.part.samples, step, warm_up=0)

    def run_node(self) -> None:
        """See ``Work``."""
        picture, part, node = self._setting.picture, self.part, self.node
        assert part.node is not None
        with progress(f'{part.name}: node', part.runs) as step:
            node.measure_tracking(picture, self._frames, part.runs, _to_node(part, step))
        part.node.camera = CameraFacts(self._camera_rate)
        with progress(f'{part.name}: camera', part.runs) as step:
            node.watch_camera(picture, part.node.camera, part.runs, _to_node(part, step))


def _to_node(part: Part, step: Callable[[], None]) -> Callable[[dict[str, float]], None]:
    def add(durations: dict[str, float]) -> None:
        part.samples.add(NODE, durations)
        step()

    return add


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr; calling what is given moves it on by one."""
    # Into a file, a line every ten seconds is enough.
    interval = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(total=total, desc=f'{what:24}', unit='run', mininterval=interval) as bar:
        def step() -> None:
            bar.update()

        yield step
