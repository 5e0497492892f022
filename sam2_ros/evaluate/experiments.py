# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be measured in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sam2_ros.evaluate import cold_start, tracking
from sam2_ros.evaluate.entrants import Entrant
from sam2_ros.evaluate.experiment import Contender, Experiment, InTurn, Readings
from sam2_ros.evaluate.latency import (
    COUNTS,
    OurDecoder,
    OurImage,
    objects_stage,
    points_stage,
)
from sam2_ros.evaluate.progress import progress
from sam2_ros.evaluate.samples import FIRST_RUN
from sam2_ros.evaluate.scene import make_points, make_prompts
from sam2_ros.evaluate.setting import (
    COLD_START,
    CONSECUTIVE,
    OBJECTS,
    POINTS,
    TRACKING,
    VARYING,
    Setting,
)
from sam2_ros.evaluate.tracking import OurTracking, frames_to_full_memory, tracking_name
from sam2_ros.model.prompts import Prompt

#: Processes that are started; one alone may have met a cold disk.
PROCESSES = 3
#: Objects that a process has at first and at last, when its memory is looked at.
PROCESS_OBJECTS = {cold_start.SEGMENTATION: 16, cold_start.TRACKING: 4}


def _cold_start(setting: Setting) -> Experiment:
    def load() -> list[Contender]:
        return [_Processes(each, setting.picture_size) for each in setting.entrants]

    return InTurn(COLD_START, PROCESSES, [each.name for each in setting.entrants], load,
                  first_apart=False)


class _Processes:
    """New processes that load a bundle and run it."""

    def __init__(self, entrant: Entrant, picture_size: tuple[int, int]) -> None:
        self.name = entrant.name
        self._entrant = entrant
        self._picture_size = picture_size

    def run(self, run: int) -> Readings:
        """See ``Contender``; tracking once only, the disk is warm after that."""
        seconds: dict[str, float] = {}
        memory: dict[str, int] = {}
        works = [cold_start.SEGMENTATION]
        if self._entrant.bundle.can_track and run == FIRST_RUN + 1:
            works.append(cold_start.TRACKING)
        for work in works:
            objects = PROCESS_OBJECTS[work]
            found = cold_start.cold_start(cold_start.Order(
                work, self._entrant.bundle.path, self._entrant.provider, self._entrant.threads,
                self._picture_size, objects))
            seconds[f'{work}: process to loaded model'] = found.loaded
            seconds[f'{work}: first run'] = found.first_run
            for what, count in (('1 object', found.memory),
                                (f'{objects} objects', found.memory_many_objects)):
                if count is not None:
                    memory[f'{work}, {what}'] = count
        return Readings(seconds, memory)


def _images(name: str) -> Callable[[Setting], Experiment]:
    """Return what makes the experiment with the same picture, or with varying ones."""
    def make(setting: Setting) -> Experiment:
        def load() -> list[Contender]:
            scene = setting.scene(name)
            contenders: list[Contender] = [
                OurImage(each.name, each.segmenter(), scene) for each in setting.entrants]
            for official in setting.officials:
                from sam2_ros.evaluate.official import OfficialImage

                contenders.append(
                    OfficialImage(official.name, official.model, scene, official.threads))
            return contenders

        return InTurn(name, setting.runs, setting.names, load)

    return make


def _decoder(
    name: str, prompts_of: Callable[[tuple[int, int]], Mapping[str, Sequence[Prompt]]],
) -> Callable[[Setting], Experiment]:
    """Return what makes an experiment with the decoder alone."""
    def make(setting: Setting) -> Experiment:
        def load() -> list[Contender]:
            picture, prompts = setting.picture, prompts_of(setting.picture_size)
            contenders: list[Contender] = [
                OurDecoder(each.name, each.segmenter(), picture, prompts)
                for each in setting.entrants]
            for official in setting.officials:
                from sam2_ros.evaluate.official import OfficialDecoder

                contenders.append(OfficialDecoder(
                    official.name, official.model, picture, prompts, official.threads))
            return contenders

        return InTurn(name, setting.runs, setting.names, load)

    return make


def _tracking(setting: Setting) -> Experiment:
    def load() -> list[Contender]:
        picture = setting.picture
        total = len(tracking.OBJECTS) * sum(
            frames_to_full_memory(each.bundle) for each in setting.trackers)
        contenders: list[Contender] = []
        with progress('tracking: fill memory', total) as bar:
            for each in setting.trackers:
                contenders += [
                    OurTracking(each.name, each.bundle, each.provider, each.options, picture,
                                objects, bar.update)
                    for objects in tracking.OBJECTS]
        for official in setting.officials:
            from sam2_ros.evaluate.official_tracking import OfficialTracking

            contenders += [
                OfficialTracking(official.name, official.model, picture, objects, official.threads,
                                 frames_to_full_memory(official.bundle))
                for objects in tracking.OBJECTS if official.bundle.can_track]
        return contenders

    names = [each.name for each in setting.trackers]
    names += [each.name for each in setting.officials if each.bundle.can_track]
    return InTurn(
        TRACKING, setting.tracked_frames,
        [tracking_name(name, objects) for name in names for objects in tracking.OBJECTS], load,
        first_apart=False)


#: By name, in the order in which they are made.
LOCAL: dict[str, Callable[[Setting], Experiment]] = {
    COLD_START: _cold_start,
    CONSECUTIVE: _images(CONSECUTIVE),
    VARYING: _images(VARYING),
    POINTS: _decoder(POINTS, lambda size: {
        points_stage(count): [make_points(count, *size)] for count in COUNTS}),
    OBJECTS: _decoder(OBJECTS, lambda size: {
        objects_stage(count): make_prompts(count, *size) for count in COUNTS}),
    TRACKING: _tracking,
}
