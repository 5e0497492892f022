# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edge against cloud: camera and node on one host, and on two with a link between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack

from sam2_ros.evaluate.entrants import Entrant
from sam2_ros.evaluate.experiment import Experiment, Readings, Turn
from sam2_ros.evaluate.latency import TOTAL
from sam2_ros.evaluate.link import Link, probe_link
from sam2_ros.evaluate.link_process import COMPRESSED, Traffic
from sam2_ros.evaluate.robot import OVERHEAD, Order, Robot
from sam2_ros.evaluate.samples import FIRST_RUN, Samples
from sam2_ros.evaluate.setting import CAMERA, CONSECUTIVE, TRACKING, Setting
from sam2_ros.evaluate.tracking import frames_to_full_memory

#: Where the node is: on the robot's host, or on another.
EDGE, CLOUD = 'edge', 'cloud'
_PLACES = (EDGE, CLOUD)
#: Stage: what of the total is neither the camera's nor the node's work.
TRANSPORT = 'transport'
#: Means in "Deploying Vision Foundation AI Models on the Edge. The SAM2 Experience", in ms.
_PAPER = {EDGE: 246, CLOUD: 529}

_Robots = Mapping[str, Robot]


def contender(entrant: str, place: str) -> str:
    """Return the name of an entrant in a place."""
    return f'{entrant}, {place}'


class _EdgeAndCloud:
    """
    One bundle after the other, each with a robot and a node in both places.

    Robots take turns, so that a machine that gets slower or busier does so for both.
    """

    mode: str

    def __init__(self, name: str, runs: int, entrants: Sequence[Entrant], setting: Setting) -> None:
        assert setting.cloud is not None
        self.name = name
        self.setting = setting
        self._cloud = setting.cloud
        self._runs = range(FIRST_RUN + 1, FIRST_RUN + 1 + runs)
        self._entrants = entrants

    @property
    def turns(self) -> list[Turn]:
        """See ``Experiment``."""
        return [Turn(run, contender(each.name, place)) for each in self._entrants
                for run in self._runs for place in (_PLACES if run % 2 else reversed(_PLACES))]

    def measure(self, todo: Sequence[Turn]) -> Generator[tuple[Turn, Readings], None, None]:
        """See ``Experiment``."""
        link_facts = [
            f'{self._cloud}; probed before: {probe_link(self._cloud.link)}']
        for each in self._entrants:
            names = [contender(each.name, place) for place in _PLACES]
            turns = [turn for turn in todo if turn.contender in names]
            if not turns:
                continue
            last = max(turns, key=lambda turn: (turn.contender == names[1], turn.run))
            with ExitStack() as stack:
                link = stack.enter_context(Link(self._cloud.link))
                robots = {
                    names[0]: stack.enter_context(self._edge(each)),
                    names[1]: stack.enter_context(self._robot_and_cloud(each, link))}
                notes = {name: [f'{key}: {value}' for key, value in robot.wait().items() if value]
                         for name, robot in robots.items()}
                self._warm_up(robots, each)
                notes[names[1]] += [*link_facts, _image_note(robots[names[1]], link)]
                for turn, readings in self._take(robots, turns):
                    robot, more = robots[turn.contender], notes[turn.contender]
                    if robot.lost:
                        more.append(f'{robot.lost} images got lost and were published again')
                    if turn == last:
                        more += _traffic_notes(link)
                    memory = {'node': robot.peak_memory} if robot.peak_memory else {}
                    yield turn, Readings(readings.seconds, memory, [*more, *readings.notes])
                    more.clear()

    def _edge(self, entrant: Entrant) -> Robot:
        return Robot(self._order(entrant, EDGE))

    def _robot_and_cloud(self, entrant: Entrant, link: Link) -> Robot:
        near, far = link.hosts
        cloud = self._cloud
        travel = 2.0 * cloud.link.travel(cloud.image_bytes(self.setting.picture_size))
        return Robot(dataclasses.replace(
            self._order(entrant, CLOUD), node_host=far, compressed=cloud.images == COMPRESSED,
            travel=travel), near)

    def _order(self, entrant: Entrant, place: str) -> Order:
        folder = self.setting.node_folder
        assert folder is not None
        return Order(entrant.bundle.path, entrant.provider, entrant.threads, folder / place,
                     self.mode, self.setting.picture_size)

    def _warm_up(self, robots: _Robots, entrant: Entrant) -> None:
        frames = frames_to_full_memory(entrant.bundle) if self.mode == 'track' else 0
        for robot in robots.values():
            robot.warm_up(frames)

    def _take(
        self, robots: _Robots, turns: Sequence[Turn],
    ) -> Iterator[tuple[Turn, Readings]]:
        for turn in turns:
            seconds = robots[turn.contender].ask()
            # In its place: the node's other stages are told, too.
            del seconds[OVERHEAD]
            work = sum(value for stage, value in seconds.items() if stage != TOTAL)
            yield turn, Readings({**seconds, TRANSPORT: seconds[TOTAL] - work})


class _Prompts(_EdgeAndCloud):
    """Image and prompt in, mask out."""

    mode = 'prompt'


class _Tracking(_EdgeAndCloud):
    """Image in, mask of one tracked object out, once the memory is full."""

    mode = 'track'


class _Camera(_Tracking):
    """The same, where the images come from a camera that does not wait for answers."""

    @property
    def turns(self) -> list[Turn]:
        """See ``Experiment``; the camera of one place after the other: both would be one load."""
        return [Turn(run, contender(each.name, place)) for each in self._entrants
                for place in _PLACES for run in self._runs]

    def _take(
        self, robots: _Robots, turns: Sequence[Turn],
    ) -> Iterator[tuple[Turn, Readings]]:
        """The turns of each place are one stream of images, of which all or nothing is."""
        for name, robot in robots.items():
            mine = [turn for turn in turns if turn.contender == name]
            if not mine:
                continue
            answers: list[dict[str, float]] = []
            camera = robot.watch_camera(self.setting.camera_rate, len(mine), answers.append)
            for turn, seconds in zip(mine, answers, strict=True):
                yield turn, Readings(seconds, notes=[str(camera)] if turn == mine[-1] else [])


def headline(samples: Samples, experiment: str, entrant: str) -> str:
    """Return what an experiment says of an entrant; '' if it has not been in both places."""
    edge, cloud = (samples.find(experiment, contender(entrant, place), TOTAL) for place in _PLACES)
    if edge is None or cloud is None:
        return ''
    text = (f'{entrant}: {edge.mean:.0f} ms on the edge (standard deviation '
            f'{edge.standard_deviation:.0f}), {cloud.mean:.0f} ms in the cloud '
            f'({cloud.standard_deviation:.0f})')
    if experiment == CONSECUTIVE:
        text += f'; the paper has {_PAPER[EDGE]} ms and {_PAPER[CLOUD]} ms'
    transports = [
        samples.find(experiment, contender(entrant, place), TRANSPORT) for place in _PLACES]
    if transports[0] is not None and transports[1] is not None:
        text += (f'. The way there and back took {transports[0].median:.0f} ms and '
                 f'{transports[1].median:.0f} ms (median)')
    return text + '.'


def _image_note(robot: Robot, link: Link) -> str:
    before = link.traffic()
    robot.ask()
    there, back = (after.bytes - was.bytes
                   for was, after in zip(before, link.traffic(), strict=True))
    return f'one image takes {there / 1e3:.1f} kB to the cloud and {back / 1e3:.1f} kB back'


def _traffic_notes(link: Link) -> list[str]:
    def line(way: str, traffic: Traffic) -> str:
        packets = max(traffic.packets, 1)
        return (f'{way}: {traffic.bytes / 1e6:.1f} MB in {traffic.packets} packets, '
                f'{traffic.dropped} dropped by the full queue, {1e3 * traffic.waited_longest:.1f} '
                f'ms in it at most; carried {1e3 * traffic.late / packets:.2f} ms too late '
                f'(mean; longest {1e3 * traffic.late_longest:.1f} ms)')

    return [line(way, traffic) for way, traffic in zip(
        ('to the cloud', 'back'), link.traffic(), strict=True)]


#: By name, in the order in which they are made: each as the one that has one place.
EDGE_AND_CLOUD: dict[str, Callable[[Setting], Experiment]] = {
    CONSECUTIVE: lambda setting: _Prompts(CONSECUTIVE, setting.runs, setting.entrants, setting),
    TRACKING: lambda setting: _Tracking(
        TRACKING, setting.tracked_frames, setting.trackers, setting),
    CAMERA: lambda setting: _Camera(CAMERA, setting.tracked_frames, setting.trackers, setting),
}
