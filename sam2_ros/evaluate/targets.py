# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the project wants of SAM 2.1 tiny, 1024 x 1024, fp32, on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_ros.evaluate import tracking
from sam2_ros.evaluate.entrants import Entrant
from sam2_ros.evaluate.latency import objects_stage
from sam2_ros.evaluate.samples import Samples
from sam2_ros.evaluate.setting import CONSECUTIVE, OBJECTS, TRACKING
from sam2_ros.evaluate.tracking import HOST, STEP, tracking_name

ENCODER_RATIO = 0.80
MANY_OBJECTS, MANY_OBJECTS_RATIO = 16, 5.0
#: Milliseconds, at 1280 x 720 and one object.
NODE_OVERHEAD = 15.0
#: Bytes: as often the size of the bundle, and this much more.
NODE_MEMORY = (2, 400_000_000)
TRACKED_FRAME_RATIO = 0.70
MANY_TRACKED_RATIO = 2.2
#: Part of a tracked frame.
HOST_SHARE = 0.05


@dataclass(frozen=True)
class Target:
    """A figure that the project wants a contender to reach: ``value`` at most ``limit``."""

    contender: str
    name: str
    value: float
    limit: float
    unit: str = ''

    @property
    def reached(self) -> bool:
        """Say whether it is reached."""
        return self.value <= self.limit

    def row(self) -> list[str]:
        """Return its line of the table."""
        digits = {'MB': 0, 'ms': 2}.get(self.unit, 3)  # 0.054 is not 0.05
        return [self.contender, self.name, f'{self.value:.{digits}f} {self.unit}'.strip(),
                f'{self.limit:.{digits}f} {self.unit}'.strip(), 'yes' if self.reached else 'NO']


def find_targets(samples: Samples, entrant: Entrant) -> list[Target]:
    """Return the targets of which the figures were measured."""
    return [*_ratios(samples, entrant), *_of_node(samples, entrant)]


def _ratios(samples: Samples, entrant: Entrant) -> list[Target]:
    who, reference = entrant.name, entrant.reference or ''
    few, many = tracking.OBJECTS
    one, several = (tracking_name(who, objects) for objects in tracking.OBJECTS)
    # name, limit, (experiment, contender, stage) of what is compared and of what it is held against
    wanted = (
        ('encoder, time beside PyTorch', ENCODER_RATIO,
         (CONSECUTIVE, who, 'encode'), (CONSECUTIVE, reference, 'encode')),
        (f'decoder, {MANY_OBJECTS} objects beside one', MANY_OBJECTS_RATIO,
         (OBJECTS, who, objects_stage(MANY_OBJECTS)), (OBJECTS, who, objects_stage(1))),
        ('tracked frame, one object, time beside PyTorch', TRACKED_FRAME_RATIO,
         (TRACKING, one, STEP), (TRACKING, tracking_name(reference, few), STEP)),
        (f'tracked frame, {many} objects beside one', MANY_TRACKED_RATIO,
         (TRACKING, several, STEP), (TRACKING, one, STEP)),
        ('tracked frame, one object, part that is host code', HOST_SHARE,
         (TRACKING, one, HOST), (TRACKING, one, STEP)))
    return [Target(who, name, ratio, limit) for name, limit, of, to in wanted
            if (ratio := samples.ratio(of, to)) is not None]


def _of_node(samples: Samples, entrant: Entrant) -> list[Target]:
    found = []
    if (overhead := samples.find(CONSECUTIVE, entrant.name, 'overhead')) is not None:
        found.append(Target(
            entrant.name, 'node, neither encode nor decode (median)', overhead.median,
            NODE_OVERHEAD, 'ms'))
    if (memory := samples.bytes.get((CONSECUTIVE, entrant.name, 'node'))) is not None:
        factor, more = NODE_MEMORY
        found.append(Target(
            entrant.name, 'node, peak memory', memory / 1e6,
            (factor * entrant.bundle.size_bytes + more) / 1e6, 'MB'))
    return found
