# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips: the things of a composite on smooth paths, under a moving camera and changing light."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.composites import Composer
from sam2_ros.train.layers import CutOut, Placed, compose
from sam2_ros.train.material import Material
from sam2_ros.train.motion import Wave
from sam2_ros.train.textures import Image, Rng


@dataclass(frozen=True)
class Moving:
    """A placed thing and how it moves; lengths in units of the picture's side."""

    thing: Placed
    x: Wave
    y: Wave
    # Natural logarithm of the scale.
    scale: Wave
    angle: Wave
    shear: Wave
    # How far its outline sways, in units of its own side.
    sway: Wave


@dataclass(frozen=True)
class Camera:
    """A camera that pans, zooms and rolls, in light that changes."""

    x: Wave
    y: Wave
    scale: Wave
    angle: Wave
    gain: Wave


def moving_scene(
    rng: Rng, composer: Composer, material: Material, size: int, frames: int, step: float,
) -> tuple[Image, NDArray[np.bool_], list[str]]:
    """
    Return a clip of a moving composite.

    Some things leave the picture and return, some are hidden by others, some wait outside.

    :param step: time between two frames; 1 is a calm video, 4 every fourth frame of it.
    :return: frames uint8 [T, size, size, 3], masks bool [T, N, size, size], names [N].
    """
    # The background is larger than the picture, so that the camera has where to go.
    margin = round(.3 * size)
    background = material.background(rng, size + 2 * margin)
    things = [_moving(rng, thing, size) for thing in composer.actors(rng, size)]
    camera = _camera(rng)
    images, masks = [], []
    for frame in range(frames):
        time = step * frame
        view, centre = _view(camera, time, size)
        shifted = view @ np.array([[1, 0, -margin], [0, 1, -margin], [0, 0, 1]])
        ground = cv2.warpAffine(background, shifted[:2], (size, size), flags=cv2.INTER_LINEAR,
                                borderMode=cv2.BORDER_REFLECT)
        placed = [_at(moving, time, size, view, centre) for moving in things]
        image, mask = compose(np.asarray(ground, np.uint8), placed)
        images.append(np.clip(image * np.exp(camera.gain.at(time)), 0, 255).astype(np.uint8))
        masks.append(mask)
    return np.stack(images), np.stack(masks), [moving.thing.cut_out.name for moving in things]


def _moving(rng: Rng, thing: Placed, size: int) -> Moving:
    """Return how a thing moves: half of them calmly, half far and fast."""
    pace = rng.uniform(.02, .1) if rng.random() < .5 else rng.uniform(.1, .35)
    x, y = np.array(thing.centre) / size
    return Moving(
        thing,
        x=Wave.random(rng, float(x), .03 * pace, pace),
        y=Wave.random(rng, float(y), .03 * pace, pace),
        scale=Wave.random(rng, 0, .003, .15), angle=Wave.random(rng, thing.angle, .01, .3),
        shear=Wave.random(rng, thing.shear, 0, .08), sway=Wave.random(rng, 0, 0, .03))


def _camera(rng: Rng) -> Camera:
    pace = rng.choice([0, .02, .06, .12])
    return Camera(
        x=Wave.random(rng, 0, .02 * pace, pace), y=Wave.random(rng, 0, .02 * pace, pace),
        scale=Wave.random(rng, 0, .01 * pace, pace), angle=Wave.random(rng, 0, .01 * pace, pace),
        gain=Wave.random(rng, 0, 0, rng.choice([0, .05, .15])))


def _view(camera: Camera, time: float, size: int) -> tuple[NDArray[Any], float]:
    """Return the matrix [3, 3] from the scene to the picture at a time, and its scale."""
    scale, angle = np.exp(camera.scale.at(time)), camera.angle.at(time)
    turn = np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D((size / 2, size / 2), np.degrees(-angle), scale)
    turn[:2, 2] += size * np.array([camera.x.at(time), camera.y.at(time)])
    return turn, float(scale)


def _at(
    moving: Moving, time: float, size: int, view: NDArray[Any], scale: float,
) -> Placed:
    """Return the thing as it lies in the picture at a time."""
    x, y, _ = view @ [size * moving.x.at(time), size * moving.y.at(time), 1]
    roll = np.arctan2(view[1, 0], view[0, 0])
    return replace(
        moving.thing, centre=(float(x), float(y)),
        cut_out=_swaying(moving.thing.cut_out, moving.sway.at(time)),
        side=moving.thing.side * scale * float(np.exp(moving.scale.at(time))),
        angle=moving.angle.at(time) + float(roll), shear=moving.shear.at(time))


def _swaying(cut_out: CutOut, sway: float) -> CutOut:
    """Return the cut-out bent sideways, as a reed in the wind; ``sway`` in units of its side."""
    height, width = cut_out.picture.shape[:2]
    bend = sway * max(height, width)
    if abs(bend) < 1:
        return cut_out
    margin = int(np.ceil(abs(bend)))
    y, x = np.mgrid[:height, :width + 2 * margin].astype(np.float32)
    source = x - margin + np.float32(bend) * np.sin(np.pi * y / height, dtype=np.float32)
    return replace(cut_out, picture=np.asarray(cv2.remap(
        cut_out.picture, source, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0, 0)), np.uint8))
