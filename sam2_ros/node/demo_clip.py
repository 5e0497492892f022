# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's second half: a clip before a camera, and its objects tracked from a click on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from sam2_ros.model.image_files import write_png
from sam2_ros.model.masks import Mask
from sam2_ros.model.overlay import draw_overlay
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.tables import format_table
from sam2_ros.model.video_files import VideoWriter, open_video
from sam2_ros.msg import Mask as MaskMessage
from sam2_ros.msg import MaskArray
from sam2_ros.node.conversions import to_image
from sam2_ros.node.demo_node import DemoError, NodeProcess, node_process
from sam2_ros.node.demo_operator import ANSWER_TIMEOUT, Operator, operating, to_mask
from sam2_ros.node.demo_scenes import CLIP, CLIP_PROMPTS, DemoPrompt

#: Seconds of absence after which an object of the clip is lost: the clip shows that, too.
LOST_AFTER = 1.0
#: A camera's pictures are best effort. A frame is given up after this many times the longest
#: latency so far, and a second more.
PATIENCE = 5.0
#: Seconds within which the node tells that a frame has come; many times the diagnostics' period.
ARRIVAL_TIMEOUT = 5.0
STATES = {
    MaskMessage.VISIBLE: 'visible', MaskMessage.OCCLUDED: 'occluded', MaskMessage.LOST: 'lost'}
#: What a person reads of an object that the model takes for visible, and finds no pixel of.
NO_MASK = 'no mask'
COUNTED = (*STATES.values(), NO_MASK)
HEADER = ('object', 'prompt', 'topic', *COUNTED, 'what happened, by frame')
#: Pictures of the contact sheet, and the width of each.
COLUMNS, ROWS, STILL_WIDTH = 4, 3, 320

Image = npt.NDArray[np.uint8]


class Found(NamedTuple):
    """An object on a frame."""

    mask: Mask
    state: str


@dataclass
class Track:
    """An object and its state on each frame that was answered, one of ``COUNTED``."""

    prompt: DemoPrompt
    object_id: int
    states: dict[int, str] = field(default_factory=dict)

    def row(self) -> list[str]:
        """Return the object's line of the table."""
        frames = list(self.states.items())
        counts = [sum(state == one for _, state in frames) for one in COUNTED]
        changes = [f'{after} from {index}' for (_, before), (index, after) in
                   pairwise(frames) if before != after]
        via = 'image_mouse_left' if self.prompt.mouse else '~/prompt'
        return [self.prompt.what, self.prompt.text, via, *map(str, counts),
                ', '.join([f'{frames[0][1]} at first', *changes])]


def show_clip(bundle: Path, output: Path, provider: str, namespace: str) -> list[str]:
    """
    Show the clip to a node in mode ``track``; write an overlay video, stills and a table.

    Returns the objects that got no mask.

    :raises DemoError: the node does not start, or ends, or does not answer the prompts.
    """
    parameters = {
        'bundle': str(bundle.resolve()), 'provider': provider, 'mode': 'track',
        # The small model, once it has remembered that an object is gone, keeps saying so; by the
        # prompted frame and the object pointers alone it finds again what comes back.
        'memories': 0, 'lost_after': LOST_AFTER, 'diagnostics_period': 0.1}
    video = open_video(CLIP, 1.0)
    with node_process(namespace, parameters, output, 'clip') as process, \
            operating(Camera, namespace, process) as camera:
        camera.rate = video.rate
        tracks: list[Track] = []
        pictures: list[Image] = []
        for frame in video.frames():
            assert frame.image is not None, frame.problem
            if frame.index == 0:
                tracks, found = camera.begin(frame.image, CLIP_PROMPTS)
            elif (now := camera.show(frame.image)) is not None:
                found = now
            else:
                continue
            for track in tracks:
                track.states[frame.index] = found[track.object_id].state
            # drawn where they were given
            prompts = [] if pictures else [track.prompt.to_model() for track in tracks]
            pictures.append(_overlay(frame.image, found, prompts))
        summary = camera.summary()
    _write_video(output / 'clip.webm', pictures, video.rate)
    write_png(output / 'clip.png', _contact_sheet(pictures))
    table = format_table(HEADER, [track.row() for track in tracks], right=COUNTED)
    (output / 'clip.txt').write_text(f'{table}\n\n{summary}\n', encoding='utf-8')
    print(f'{table}\n\n{summary}\n')
    return [f'{track.prompt.what} ({CLIP.name})' for track in tracks
            if STATES[MaskMessage.VISIBLE] not in track.states.values()]


class Camera(Operator):
    """
    Shows the frames of a clip one by one: at its rate, or as fast as the node answers.

    So a slow machine misses nothing of it. Stamps are the clip's own times: what the node makes of
    the scene depends on the machine in no way.
    """

    #: Frames a second of the clip.
    rate = 1.0

    def __init__(self, namespace: str, process: NodeProcess, context: Any) -> None:
        super().__init__(namespace, process, context)
        self._begun = self._node.get_clock().now().nanoseconds
        self._due = time.monotonic()
        self._published_at = 0.0
        self._latencies: list[float] = []
        self._header = Header(frame_id='camera')
        self._shown = 0
        #: What is known of the newest frame, by object.
        self._found: dict[int, Found] = {}
        self._received_at: float | None = None

    def begin(
        self, image: Image, prompts: Sequence[DemoPrompt],
    ) -> tuple[list[Track], dict[int, Found]]:
        """
        Show the first frame and give the prompts on it, one by one.

        Returns the objects, and where they are on that frame.

        :raises DemoError: the frame does not arrive, or a prompt is not answered.
        """
        self._publish(image)
        while not self._spin_until(lambda: self._count('images') > 0, ARRIVAL_TIMEOUT):
            self._publish(image)  # best effort: it got lost
        return [self._ask(prompt) for prompt in prompts], dict(self._found)

    def show(self, image: Image) -> dict[int, Found] | None:
        """Show the next frame; returns where the objects are on it, None if nobody says so."""
        self._spin_until(lambda: False, self._due - time.monotonic())
        self._publish(image)
        patience = 1.0 + PATIENCE * max(self._latencies, default=ANSWER_TIMEOUT / PATIENCE)
        if not self._spin_until(lambda: self._received_at is not None, patience):
            return None
        assert self._received_at is not None
        self._latencies.append(self._received_at - self._published_at)
        return dict(self._found)

    def summary(self) -> str:
        """Return how many frames were answered, and how soon."""
        # until the node has told of the last frame
        self._spin_until(lambda: self._count('images') >= self._shown, ARRIVAL_TIMEOUT)
        shown, answered = self._shown, len(self._latencies) + 1
        mean, longest = np.mean(self._latencies), max(self._latencies)
        dropped, lost = self._count('frames dropped'), shown - self._count('images')
        return (f'{shown} frames published, {answered} answered; dropped by the node: {dropped}, '
                f'lost on the way: {lost}.\nFrom the publication of a frame to the reception of '
                f'its masks: {1e3 * mean:.0f} ms on average, {1e3 * longest:.0f} ms at most.')

    def _ask(self, prompt: DemoPrompt) -> Track:
        """Give a prompt on the newest frame; returns its object, which is new there."""
        known, refused = set(self._found), self._count('prompts refused')
        self._give(prompt, self._header)
        self._spin_until(
            lambda: len(self._found) > len(known) or self._count('prompts refused') > refused,
            ANSWER_TIMEOUT)
        if not (new := set(self._found) - known):
            raise DemoError(f'{prompt.what} ({CLIP.name}): '
                            f'{self._figures.get("last error", "no answer")}')
        return Track(prompt, new.pop())

    def _publish(self, image: Image) -> None:
        stamp = self._begun + round(1e9 * self._shown / self.rate)
        self._header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
        self._found, self._received_at = {}, None
        self._published_at = time.monotonic()
        self._due = self._published_at + 1.0 / self.rate
        self._images.publish(to_image(image, 'rgb8', self._header))
        self._shown += 1

    def _masks_came(self, message: MaskArray) -> None:
        if message.header.stamp != self._header.stamp:
            return  # of a frame that was given up
        self._received_at = self._received_at or time.monotonic()
        for one in message.masks:
            unseen = one.state == MaskMessage.VISIBLE and not one.box.width
            self._found[one.object_id] = Found(
                to_mask(message, one), NO_MASK if unseen else STATES[one.state])


def _overlay(image: Image, found: Mapping[int, Found], prompts: Sequence[Prompt]) -> Image:
    # Large ones first, so that what lies on them stays visible.
    by_size = sorted(found.items(), key=lambda item: -item[1].mask.area)
    return draw_overlay(
        image, [(object_id, one.mask) for object_id, one in by_size], prompts,
        absent=[(object_id, one.state) for object_id, one in sorted(found.items())
                if not one.mask.area])


def _write_video(file: Path, pictures: Sequence[Image], rate: float) -> None:
    writer = VideoWriter(file, rate, (pictures[0].shape[0], pictures[0].shape[1]))
    for picture in pictures:
        writer.write(picture)
    writer.close()


def _contact_sheet(pictures: Sequence[Image]) -> Image:
    """Return stills at equal distances, the first and the last among them, row by row."""
    chosen = np.linspace(0, len(pictures) - 1, COLUMNS * ROWS).round().astype(int)
    height, width = pictures[0].shape[:2]
    size = (STILL_WIDTH, round(STILL_WIDTH * height / width))
    stills = [cv2.resize(pictures[index], size, interpolation=cv2.INTER_AREA) for index in chosen]
    return np.concatenate([
        np.concatenate(stills[start:start + COLUMNS], axis=1)
        for start in range(0, len(stills), COLUMNS)]).astype(np.uint8, copy=False)
