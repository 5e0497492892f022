# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the project wants of SAM 2.1 tiny, 1024 x 1024, fp32, on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_ros.evaluate import latency, tracking
from sam2_ros.evaluate.cold_start import TRACKING
from sam2_ros.evaluate.parts import Part
from sam2_ros.evaluate.samples import NODE, OURS, PYTORCH
from sam2_ros.evaluate.tracking import HOST, STEP, tracking_name
from sam2_ros.model.bundle import Bundle

ENCODER_RATIO = 0.80
MANY_OBJECTS_RATIO = 5.0
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
    """A figure that the project wants to reach: ``value`` at most ``limit``."""

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
        return [self.name, f'{self.value:.{digits}f} {self.unit}'.strip(),
                f'{self.limit:.{digits}f} {self.unit}'.strip(), 'yes' if self.reached else 'NO']


def find_targets(part: Part, bundle: Bundle) -> list[Target]:
    """Return the targets of a part whose figures were measured."""
    found = [
        Target(name, ratio, limit)
        for name, of, to, limit in (_TRACKING if part.name == TRACKING else _SEGMENTATION)
        if (ratio := part.samples.ratio(of, to)) is not None]
    return found if part.name == TRACKING else found + _of_node(part, bundle)


def _of_node(part: Part, bundle: Bundle) -> list[Target]:
    found = []
    if (overhead := part.samples.find(NODE, 'overhead')) is not None:
        found.append(Target(
            'node, neither encode nor decode (median)', overhead.median, NODE_OVERHEAD, 'ms'))
    if part.node is not None and part.node.memory is not None:
        factor, more = NODE_MEMORY
        found.append(Target('node, peak memory', part.node.memory / 1e6,
                            (factor * bundle.size_bytes + more) / 1e6, 'MB'))
    return found


#: Ratios: name, (contender, stage) of what is compared and of what it is compared with, limit.
_FEW, _MANY = latency.OBJECTS[0], latency.OBJECTS[-1]
_SEGMENTATION = (
    ('encoder, time beside PyTorch', (OURS, 'encode'), (PYTORCH, 'encode'), ENCODER_RATIO),
    (f'decoder, {_MANY} objects beside one', (OURS, latency.decode_stage(_MANY)),
     (OURS, latency.decode_stage(_FEW)), MANY_OBJECTS_RATIO))
_ONE, _SEVERAL = (tracking_name(OURS, objects) for objects in tracking.OBJECTS)
_TRACKING = (
    ('tracked frame, one object, time beside PyTorch', (_ONE, STEP),
     (tracking_name(PYTORCH, tracking.OBJECTS[0]), STEP), TRACKED_FRAME_RATIO),
    (f'tracked frame, {tracking.OBJECTS[-1]} objects beside one', (_SEVERAL, STEP), (_ONE, STEP),
     MANY_TRACKED_RATIO),
    ('tracked frame, one object, part that is host code', (_ONE, HOST), (_ONE, STEP), HOST_SHARE))
