# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be measured of the running node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sam2_ros.evaluate.camera import CameraFacts
from sam2_ros.evaluate.entrants import Entrant
from sam2_ros.evaluate.experiment import Experiment, Readings, Turn, Turns
from sam2_ros.evaluate.samples import FIRST_RUN
from sam2_ros.evaluate.setting import CAMERA, CONSECUTIVE, TRACKING, VARYING, Setting
from sam2_ros.evaluate.tracking import frames_to_full_memory


class _ThroughNode:
    """
    The running node of one bundle after the other.

    Two nodes at once would take the processor from each other even while they wait.
    """

    mode: str

    def __init__(self, name: str, runs: int, entrants: Sequence[Entrant], setting: Setting) -> None:
        self.name = name
        self.setting = setting
        self._runs = range(FIRST_RUN + 1, FIRST_RUN + 1 + runs)
        self._entrants = entrants

    @property
    def turns(self) -> list[Turn]:
        """See ``Experiment``."""
        return [Turn(run, each.name) for each in self._entrants for run in self._runs]

    def measure(self, todo: Sequence[Turn]) -> Turns:
        """See ``Experiment``."""
        from sam2_ros.evaluate.running_node import RunningNode

        folder = self.setting.node_folder
        assert folder is not None
        for each in self._entrants:
            turns = [turn for turn in todo if turn.contender == each.name]
            if not turns:
                continue
            with RunningNode(
                    each.bundle.path, each.provider, each.threads, folder, self.mode) as node:
                node.wait()
                notes = [f'{key}: {value}' for key, value in node.facts().items() if value]
                for turn, readings in self.ask(node, each, turns):
                    if node.lost:
                        notes.append(f'{node.lost} images got lost and were published again')
                        node.lost = 0
                    memory = {'node': node.peak_memory} if node.peak_memory else {}
                    yield turn, Readings(readings.seconds, memory, [*notes, *readings.notes])
                    notes = []

    def ask(self, node: Any, entrant: Entrant, turns: Sequence[Turn]) -> Turns:
        """Take the turns with a node that runs."""
        raise NotImplementedError


class _Prompts(_ThroughNode):
    """Image and prompt in, mask out."""

    mode = 'prompt'

    def ask(self, node: Any, entrant: Entrant, turns: Sequence[Turn]) -> Turns:
        """See ``_ThroughNode``."""
        scene = self.setting.scene(self.name)
        node.warm_up(scene(FIRST_RUN)[0])
        for turn in turns:
            yield turn, Readings(node.ask(scene(turn.run)[0]))


class _Tracking(_ThroughNode):
    """Image in, mask of one tracked object out, once the memory is full."""

    mode = 'track'

    def ask(self, node: Any, entrant: Entrant, turns: Sequence[Turn]) -> Turns:
        """See ``_ThroughNode``."""
        node.warm_up(self.setting.picture, frames_to_full_memory(entrant.bundle))
        yield from self.track(node, turns)

    def track(self, node: Any, turns: Sequence[Turn]) -> Turns:
        """Take the turns with a node that tracks."""
        picture = self.setting.picture
        for turn in turns:
            yield turn, Readings(node.ask(picture))


class _Camera(_Tracking):
    """The same, where the images come from a camera that does not wait for answers."""

    def track(self, node: Any, turns: Sequence[Turn]) -> Turns:
        """See ``_Tracking``; its turns are one stream of images, of which all or nothing is."""
        camera = CameraFacts(self.setting.camera_rate)
        answers: list[dict[str, float]] = []
        node.watch_camera(self.setting.picture, camera, len(turns), answers.append)
        for turn, seconds in zip(turns, answers, strict=True):
            yield turn, Readings(seconds, notes=[str(camera)] if turn == turns[-1] else [])


def _of_images(name: str) -> Callable[[Setting], Experiment]:
    return lambda setting: _Prompts(name, setting.runs, setting.entrants, setting)


def _of_frames(
    name: str, kind: type[_Tracking],
) -> Callable[[Setting], Experiment]:
    return lambda setting: kind(name, setting.tracked_frames, setting.trackers, setting)


#: By name, in the order in which they are made.
THROUGH_NODE: dict[str, Callable[[Setting], Experiment]] = {
    CONSECUTIVE: _of_images(CONSECUTIVE),
    VARYING: _of_images(VARYING),
    TRACKING: _of_frames(TRACKING, _Tracking),
    CAMERA: _of_frames(CAMERA, _Camera),
}
