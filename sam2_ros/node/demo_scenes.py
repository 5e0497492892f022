# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows and says: photographs, a clip, and prompts on what is seen in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geometry_msgs.msg import Point
from std_msgs.msg import Header

from sam2_ros.model.prompts import POSITIVE
from sam2_ros.model.prompts import Prompt as ModelPrompt
from sam2_ros.msg import Box, Prompt

PHOTOS = Path(__file__).with_name('demo_photos')
CLIP = Path(__file__).with_name('demo_clip') / 'tabletop.webm'


@dataclass(frozen=True)
class DemoPrompt:
    """
    One thing to say of a photograph or of the clip's first frame, in its pixels.

    ``mouse``: as a click on ``image_mouse_left``, else as a message on ``~/prompt``.
    """

    what: str
    point: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None
    mouse: bool = False

    @property
    def text(self) -> str:
        """Return the prompt in words."""
        if self.box is not None:
            return f'box {", ".join(f"{value:g}" for value in self.box)}'
        assert self.point is not None
        return f'point {self.point[0]:g}, {self.point[1]:g}'

    def to_model(self) -> ModelPrompt:
        """Return what the overlay draws."""
        if self.box is not None:
            return ModelPrompt(box=self.box)
        assert self.point is not None
        return ModelPrompt(points=[self.point], labels=[POSITIVE])

    def to_message(self, header: Header) -> Prompt:
        """Return the prompt for the image with this header; the node chooses the object's id."""
        message = Prompt(header=header)
        if self.point is not None:
            message.points = [Point(x=self.point[0], y=self.point[1])]
        if self.box is not None:
            x_min, y_min, x_max, y_max = self.box
            message.box = Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max)
        return message


#: demo_photos/SOURCES.md says where the photographs come from.
SCENES = {
    'coins.jpg': (
        DemoPrompt('coin, bottom middle', point=(335.0, 390.0), mouse=True),
        DemoPrompt('coin, top left', box=(15.0, 70.0, 170.0, 215.0)),
        DemoPrompt('coin, top right', box=(495.0, 75.0, 628.0, 210.0)),
        DemoPrompt('coin, bottom left', box=(30.0, 305.0, 205.0, 480.0)),
    ),
    'coffee.jpg': (
        DemoPrompt('inside of the cup', box=(430.0, 110.0, 800.0, 440.0)),
    ),
    'astronaut.jpg': (
        DemoPrompt('mission patch', point=(244.0, 330.0)),
        DemoPrompt('name badge', box=(398.0, 254.0, 472.0, 307.0)),
        DemoPrompt('helmet', box=(400.0, 280.0, 640.0, 480.0)),
    ),
}

#: demo_clip/SOURCES.md says how the clip was made.
CLIP_PROMPTS = (
    DemoPrompt('ball, rolls behind the tin', point=(128.0, 184.0), mouse=True),
    DemoPrompt('mug, leaves the picture', point=(50.0, 330.0)),
    DemoPrompt('tin', box=(254.0, 98.0, 386.0, 308.0)),
)
