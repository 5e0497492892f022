# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a stream shall be tracked, as far as the model leaves it open."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_ros.model.bundle import Tracking
from sam2_ros.model.errors import OptionError
from sam2_ros.model.memory_bank import MemoryLimits


@dataclass(frozen=True)
class TrackingOptions:
    """
    What may be traded for speed, memory or looks; None stands for what the model has.

    ``memories``: recent frames attended to beside the prompted ones (SAM 2: 6), 0 allowed;
    ``object_pointers``: recent frames whose object pointers are attended to, the prompted one
    among them (SAM 2: 16), 0 allowed; ``prompted_frames``: how many prompted frames of an object
    stay, the newest, None: all, for ever; ``remember_corrections``: a frame that was corrected
    becomes a prompted frame (``add_all_frames_to_correct_as_cond``) instead of passing out of
    memory as any other; ``non_overlapping``: in the answers of a step, a pixel belongs to the
    object with the highest logit alone (``non_overlap_masks``); ``fill_hole_area``: holes of up to
    so many pixels of the low-resolution mask are filled, 0: none; ``lost_after``: seconds after
    which an object that is not seen counts as lost; ``kept_frames``: how many of the newest frames
    can be prompted.

    :raises OptionError: a number is out of range.
    """

    memories: int | None = None
    object_pointers: int | None = None
    prompted_frames: int | None = None
    remember_corrections: bool = False
    non_overlapping: bool = False
    fill_hole_area: int | None = None
    lost_after: float = 3.0
    kept_frames: int = 4

    def __post_init__(self) -> None:
        for name, least in (('memories', 0), ('object_pointers', 0), ('prompted_frames', 1),
                            ('fill_hole_area', 0), ('lost_after', 0), ('kept_frames', 1)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise OptionError(f'{name} is {value}; give {least} or more')

    def limits(self, model: Tracking) -> MemoryLimits:
        """
        Return what a frame attends to with ``model``.

        :raises OptionError: more than the model was trained for.
        """
        return MemoryLimits(
            memories=_within('memories', self.memories, model.num_maskmem - 1),
            stride=model.memory_temporal_stride,
            object_pointers=_within(
                'object_pointers', self.object_pointers, model.max_object_pointers),
            attended_prompted_frames=model.max_cond_frames_in_attn,
            prompted_frames=self.prompted_frames)

    def hole_area(self, model: Tracking) -> int:
        """Return the area up to which holes are filled with ``model``."""
        return model.fill_hole_area if self.fill_hole_area is None else self.fill_hole_area


def _within(name: str, value: int | None, most: int) -> int:
    if value is None:
        return most
    if value > most:
        raise OptionError(f'{name} is {value}, but this model has been trained for {most} at most')
    return value
