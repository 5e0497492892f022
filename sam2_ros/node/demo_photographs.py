# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's first half: photographs before a camera, and a prompt for each object in them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.model.image_files import read_photo, write_png
from sam2_ros.model.masks import Mask
from sam2_ros.model.overlay import draw_overlay
from sam2_ros.model.tables import format_table
from sam2_ros.msg import MaskArray
from sam2_ros.node.conversions import to_image
from sam2_ros.node.demo_node import DemoError, NodeProcess, node_process
from sam2_ros.node.demo_operator import ANSWER_TIMEOUT, Operator, operating, to_mask
from sam2_ros.node.demo_scenes import PHOTOS, SCENES, DemoPrompt

CAMERA_RATE = 10.0
#: Seconds; many times the node's period.
FIGURES_TIMEOUT = 5.0
#: A camera's pictures are best effort: a prompt on one that got lost is refused, and given again.
TRIES = 3
STAGES = ('resize', 'encode', 'decode', 'upscale')
HEADER = ('photo', 'object', 'prompt', 'topic', 'IoU', 'box', 'area',
          *(f'{stage} ms' for stage in STAGES), 'total ms')
FLUSH_RIGHT = ('IoU', 'area', *HEADER[-len(STAGES) - 1:])
NOTE = ("IoU: the model's own estimate. total: from the publication of the prompt to the "
        "reception of the masks.\nThe stages are the node's figures, from /diagnostics.")


@dataclass
class Answer:
    """What came back for a prompt; ``mask`` None: nothing in time. Latencies in ms."""

    photo: str
    prompt: DemoPrompt
    object_id: int = 0
    mask: Mask | None = None
    total: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return which prompt it was."""
        return f'{self.prompt.what} ({self.photo})'

    def row(self) -> list[str]:
        """Return the answer's line of the table."""
        via = 'image_mouse_left' if self.prompt.mouse else '~/prompt'
        start = [self.photo, self.prompt.what, self.prompt.text, via]
        if self.mask is None:
            return [*start, *['-'] * (len(HEADER) - len(start))]
        x0, y0, x1, y1 = self.mask.box
        return [
            *start, f'{self.mask.iou_prediction:.2f}', f'{x0},{y0} {x1 - x0}x{y1 - y0}',
            str(self.mask.area),
            *(f'{self.stages[stage]:.1f}' if stage in self.stages else '-' for stage in STAGES),
            f'{self.total:.1f}']


def show_photographs(bundle: Path, output: Path, provider: str, namespace: str) -> list[str]:
    """
    Show the photographs to a node in mode ``prompt``; write overlays and a table to ``output``.

    Returns the prompts that got no mask.

    :raises DemoError: the node does not start, or ends.
    """
    parameters = {
        'bundle': str(bundle.resolve()), 'provider': provider, 'mode': 'prompt',
        # often, so that the figures of one prompt can be read before the next
        'diagnostics_period': 0.1}
    answers: list[Answer] = []
    with node_process(namespace, parameters, output, 'photographs') as process, \
            operating(Photographer, namespace, process) as photographer:
        for photo, prompts in SCENES.items():
            pixels = read_photo(PHOTOS / photo)
            here = photographer.show(photo, pixels, prompts)
            _write_overlay(output / f'{Path(photo).stem}.png', pixels, here)
            answers += here
    table = format_table(HEADER, [answer.row() for answer in answers], FLUSH_RIGHT)
    (output / 'photographs.txt').write_text(f'{table}\n\n{NOTE}\n', encoding='utf-8')
    print(f'\n{table}\n\n{NOTE}\n')
    return [answer.name for answer in answers if answer.mask is None or not answer.mask.area]


def _write_overlay(file: Path, pixels: npt.NDArray[np.uint8], answers: Sequence[Answer]) -> None:
    masks = [(answer.object_id, answer.mask) for answer in answers if answer.mask is not None]
    # Large ones first, so that what lies on them stays visible.
    masks.sort(key=lambda found: -found[1].area)
    write_png(file, draw_overlay(pixels, masks, [answer.prompt.to_model() for answer in answers]))


class Photographer(Operator):
    """Holds photographs before the camera, and prompts the node for what is in them."""

    def __init__(self, namespace: str, process: NodeProcess, context: Any) -> None:
        super().__init__(namespace, process, context)
        self._node.create_timer(1.0 / CAMERA_RATE, self._publish_image)
        self._picture: Image | None = None
        self._published_at: list[float] = []
        self._received: tuple[MaskArray, float] | None = None

    def show(
        self, photo: str, pixels: npt.NDArray[np.uint8], prompts: Sequence[DemoPrompt],
    ) -> list[Answer]:
        """Let the camera see the photograph, give the prompts one by one, return the answers."""
        self._picture = to_image(pixels, 'rgb8', Header(frame_id='camera'))
        self._published_at = []
        # A second of it, so that the node's newest picture is certainly of this photograph.
        self._wait_for_pictures(round(CAMERA_RATE))
        answers = [self._ask(photo, prompt) for prompt in prompts]
        times = self._published_at
        rate = (len(times) - 1) / (times[-1] - times[0])
        print(f'{photo}, {pixels.shape[1]}x{pixels.shape[0]} at {rate:.1f} Hz: '
              f'{sum(answer.mask is not None for answer in answers)} of {len(answers)} prompts '
              'answered', flush=True)
        return answers

    def _ask(self, photo: str, prompt: DemoPrompt) -> Answer:
        answer = Answer(photo, prompt)
        for _ in range(TRIES):
            if self._try(prompt, answer):
                break
            reason = self._figures.get('last error', 'no answer')
            print(f'{answer.name}: {reason}', flush=True)
        return answer

    def _try(self, prompt: DemoPrompt, answer: Answer) -> bool:
        """Give the prompt once and fill in what comes back; False if it is refused."""
        assert self._picture is not None
        # Every prompt on a picture of its own, which the node then has to encode.
        self._wait_for_pictures(1)
        answered, encoded = self._count('answers'), self._count('encoder runs')
        refused = self._count('prompts refused')
        self._received = None
        begin = time.monotonic()
        self._give(prompt, self._picture.header)
        self._spin_until(
            lambda: self._received is not None or self._count('prompts refused') > refused,
            ANSWER_TIMEOUT)
        if self._received is None:
            return False
        masks, received_at = self._received
        if len(masks.masks) != 1:
            raise DemoError(f'one prompt was answered with {len(masks.masks)} masks')
        answer.object_id = masks.masks[0].object_id
        answer.mask = to_mask(masks, masks.masks[0])
        answer.total = 1e3 * (received_at - begin)
        self._spin_until(lambda: self._count('answers') > answered, FIGURES_TIMEOUT)
        remembered = ('resize', 'encode') if self._count('encoder runs') == encoded else ()
        for stage in STAGES:
            if f'{stage} ms' in self._figures and stage not in remembered:
                answer.stages[stage] = float(self._figures[f'{stage} ms'].split()[0])
        return True

    def _wait_for_pictures(self, number: int) -> None:
        enough = len(self._published_at) + number
        self._spin_until(lambda: len(self._published_at) >= enough, ANSWER_TIMEOUT)

    def _publish_image(self) -> None:
        if self._picture is None:
            return
        self._picture.header.stamp = self._node.get_clock().now().to_msg()
        self._images.publish(self._picture)
        self._published_at.append(time.monotonic())

    def _masks_came(self, message: MaskArray) -> None:
        self._received = (message, time.monotonic())
