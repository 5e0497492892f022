# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and clips with exact instance masks, made from a seed and an index."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.assets import SPLITS, Assets
from sam2_ros.train.clips import moving_scene
from sam2_ros.train.composites import Composer
from sam2_ros.train.errors import TrainError
from sam2_ros.train.layers import compose
from sam2_ros.train.material import Material, default_cache
from sam2_ros.train.renders import Renderer
from sam2_ros.train.textures import Image, Rng

_LOG = logging.getLogger(__name__)

KINDS = ('render', 'composite')
# Of the pictures and of the clips of SceneGenerator, how many are rendered.
RENDERED_IMAGES = .45
RENDERED_CLIPS = .25
# An instance that shows less than this, in pixels of a picture of 256 x 256, is no instance.
SMALLEST = 40
# One that shows this much can be clicked on; one of them at least is in a clip's first frame.
CLICKABLE = 150


@dataclass(frozen=True)
class Scene:
    """
    A picture and its instances.

    ``image`` uint8 [H, W, 3], RGB; ``masks`` bool [N, H, W]: the visible part of each instance
    (they overlap only where an instance is part of another); ``names`` [N]: what each is made of;
    ``kind``: one of ``KINDS``.
    """

    image: Image
    masks: NDArray[np.bool_]
    names: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Clip:
    """
    A clip and its instances, each of which shows in at least one frame.

    ``images`` uint8 [T, H, W, 3], RGB; ``masks`` bool [T, N, H, W]: the visible part, all False
    where the instance is hidden or out of the picture; ``names`` [N]; ``kind``: one of ``KINDS``.
    """

    images: Image
    masks: NDArray[np.bool_]
    names: tuple[str, ...]
    kind: str

    @property
    def clickable(self) -> NDArray[np.bool_]:
        """Bool [N]: whether the instance shows ``CLICKABLE`` pixels or more in the first frame."""
        first = self.masks[0]
        return np.asarray(first.sum((1, 2)) >= CLICKABLE * first[0].size / 256 ** 2
                          if len(first) else np.zeros(0, bool))


class SceneSource(Protocol):
    """What training reads: a SceneGenerator, or the Shards that one was written to."""

    def image(self, index: int) -> Scene:
        """Return picture ``index``."""
        ...

    def clip(self, index: int, frames: int = 8) -> Clip:
        """Return ``frames`` frames of clip ``index``."""
        ...


class SceneGenerator:
    """
    Makes scenes: the same seed, index and arguments give the same scene, in any order.

    :param split: 'train' or 'held_out'; they share no mesh, sprite or photograph.
    :param size: side of the pictures in pixels.
    :param assets: folder of the assets (see ``Assets.find``).
    :param cache: folder for scaled copies of assets (default: ``default_cache()``).
    :param kind: only rendered scenes or only composites; None: both.
    :param partial: go on with the assets that there are, after a warning.
    :raises TrainError: a bad argument, or assets are missing and ``partial`` is False.
    """

    def __init__(
        self, split: str, size: int = 256, seed: int = 0, *, assets: Path = Path('/'),
        cache: Path | None = None, kind: str | None = None, partial: bool = False,
    ) -> None:
        if size < 32:
            raise TrainError(f'a size of {size} pixels: 32 or more are needed')
        if seed < 0:
            raise TrainError(f'a seed of {seed}: 0 or more is needed')
        if kind not in (None, *KINDS):
            raise TrainError(f'{kind!r} is no kind of scene: {" or ".join(KINDS)}')
        found = Assets.find(split, assets)
        if found.missing:
            _tell_missing(found, partial)
        if kind == 'render' and not found.meshes:
            raise TrainError('nothing to render: no meshes here; pip install pybullet')
        self.split, self.size, self.seed, self.kind = split, size, seed, kind
        self._material = Material(found, default_cache() if cache is None else cache)
        self._renderer = _renderer(self._material, kind)
        self._composer = Composer(
            self._material, None if self._renderer is None else self._renderer.cut_out)

    def image(self, index: int) -> Scene:
        """Return picture ``index``, with one instance or more."""
        return next(scene for rng in self._attempts(0, index)
                    if (scene := self._attempt(rng)).masks.size)

    def clip(self, index: int, frames: int = 8) -> Clip:
        """
        Return ``frames`` frames of clip ``index``; an instance is clear to see in the first.

        Of training clips, some are calm and some skip frames; held-out clips are calm.
        """
        if frames < 1:
            raise TrainError(f'a clip of {frames} frames: 1 or more are needed')
        return next(clip for rng in self._attempts(1, index)
                    if (clip := self._attempt_clip(rng, frames)).clickable.any())

    def _attempt(self, rng: Rng) -> Scene:
        renderer = self._renderer_of(rng, RENDERED_IMAGES)
        if renderer is None:
            background, things = self._composer.scene(rng, self.size, self.split == 'train')
            image, masks = compose(background, things)
            names, kind = [thing.cut_out.name for thing in things], 'composite'
        else:
            image, masks, names = renderer.scene(rng, self.size)
            kind = 'render'
        shown = masks.sum((1, 2)) >= self._smallest
        return Scene(image, masks[shown], _chosen(names, shown), kind)

    def _attempt_clip(self, rng: Rng, frames: int) -> Clip:
        step = float(rng.choice([1, 2, 4])) if self.split == 'train' else 1.
        renderer = self._renderer_of(rng, RENDERED_CLIPS)
        if renderer is None:
            images, masks, names = moving_scene(
                rng, self._composer, self._material, self.size, frames, step)
            kind = 'composite'
        else:
            images, masks, names = renderer.clip(rng, self.size, frames, step)
            kind = 'render'
        # What peeps out by a few pixels cannot be told from what is hidden.
        masks &= masks.sum((2, 3), keepdims=True) >= self._smallest / 4
        shown = masks.sum((2, 3)).max(0) >= self._smallest
        return Clip(images, masks[:, shown], _chosen(names, shown), kind)

    def _renderer_of(self, rng: Rng, share: float) -> Renderer | None:
        """Return the renderer if the scene is to be rendered: ``kind`` says, or chance."""
        rendered = rng.random() < share if self.kind is None else self.kind == 'render'
        return self._renderer if rendered else None

    @property
    def _smallest(self) -> float:
        return SMALLEST * (self.size / 256) ** 2

    def _attempts(self, stream: int, index: int) -> Iterator[Rng]:
        """Yield a generator of random numbers for each attempt at a scene: some turn out empty."""
        if index < 0:
            raise TrainError(f'an index of {index}: 0 or more is needed')
        for attempt in itertools.count():
            yield np.random.default_rng(
                [self.seed, SPLITS.index(self.split), stream, index, attempt])


def _renderer(material: Material, kind: str | None) -> Renderer | None:
    """Return what draws scenes of this material; None where no scene is to be drawn."""
    if kind == 'composite' or not material.assets.meshes:
        return None
    return Renderer(material)


def _chosen(names: list[str], shown: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, seen in zip(names, shown, strict=True) if seen)


def _tell_missing(assets: Assets, partial: bool) -> None:
    missing = f'assets that are not here: {", ".join(assets.missing)}'
    if not partial:
        raise TrainError(f'{missing}; docs/scenes.md says how to get them, and --partial goes on '
                         'without them')
    _LOG.warning('scenes are made without %s', missing)
