# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Composite scenes: cut-outs over photographs and textures, from a few to 'dead leaves'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sam2_ros.train.layers import CutOut, Placed
from sam2_ros.train.material import Material
from sam2_ros.train.shapes import random_shape
from sam2_ros.train.textures import Image, Rng

# A source of cut-outs of renders; None where nothing can be rendered.
RenderedCutOut = Callable[[Rng], CutOut]


class Composer:
    """Makes composites of one split's material."""

    def __init__(self, material: Material, rendered: RenderedCutOut | None) -> None:
        self._material = material
        self._rendered = rendered

    def scene(self, rng: Rng, size: int, nested: bool) -> tuple[Image, list[Placed]]:
        """
        Return a background uint8 [size, size, 3] and things over it, for ``compose``.

        :param nested: some things carry another thing that is part of them.
        """
        background = self._material.background(rng, size)
        layout = rng.random()
        if layout < .2:
            things = self._leaves(rng, size)
        elif layout < .3:
            things = [self._placed(rng, size, rng.uniform(.7, 1.5))]
            things += self._scattered(rng, size, int(rng.integers(0, 4)), .08, .35)
        else:
            things = self._scattered(rng, size, int(rng.integers(2, 13)), .1, .7)
        if nested:
            things = [nested for thing in things for nested in self._with_part(rng, thing)]
            things = _renumbered(things)
        return background, things

    def actors(self, rng: Rng, size: int) -> list[Placed]:
        """Return the things of a clip: not too many, not too small, a few outside the picture."""
        things = self._scattered(rng, size, int(rng.integers(2, 9)), .14, .6)
        rng.shuffle(things)
        return [thing if rng.random() > .12 else replace(
            thing, centre=(thing.centre[0] + float(rng.choice([-1, 1])) * size, thing.centre[1]))
            for thing in things]

    def cut_out(self, rng: Rng) -> CutOut:
        """Return a shape, a sprite, or a rendered object."""
        kind = rng.random()
        if self._rendered is not None and kind < .3:
            return self._rendered(rng)
        if self._material.assets.sprites and kind < .7:
            return CutOut(*self._material.sprite(rng))
        return random_shape(rng, self._material)

    def _scattered(
        self, rng: Rng, size: int, count: int, smallest: float, largest: float,
    ) -> list[Placed]:
        """Return things of log-uniform size, large ones first so that few are covered."""
        shares = np.exp(rng.uniform(np.log(smallest), np.log(largest), count))
        return [self._placed(rng, size, share) for share in sorted(shares, reverse=True)]

    def _leaves(self, rng: Rng, size: int) -> list[Placed]:
        """Return 'dead leaves': so many things that they cover most of each other."""
        things = self._scattered(rng, size, int(rng.integers(15, 40)), .12, .6)
        rng.shuffle(things)
        return things

    def _placed(self, rng: Rng, size: int, share: float) -> Placed:
        upright = rng.random() < .4
        angle = rng.normal(0, .2) if upright else rng.uniform(0, 2 * np.pi)
        margin = .05 if share < .7 else .35
        x, y = rng.uniform(margin, 1 - margin, 2) * size
        return Placed(
            self.cut_out(rng), (float(x), float(y)), share * size, float(angle),
            shear=float(rng.normal(0, .12)), mirrored=bool(rng.random() < .5),
            shadow=float(rng.uniform(.15, .6)) if rng.random() < .5 else 0,
            gain=float(rng.uniform(.7, 1.15)))

    def _with_part(self, rng: Rng, thing: Placed) -> list[Placed]:
        """Return the thing and, one time in four, another thing on it that is part of it."""
        picture = thing.cut_out.picture
        inside = np.argwhere(picture[..., 3] > 250)
        if rng.random() > .25 or len(inside) == 0:
            return [thing]
        # A pixel of it, as the thing is placed; the shear is small and can be left out.
        y, x = inside[rng.integers(len(inside))] - np.array(picture.shape[:2]) / 2
        scale = thing.side / max(picture.shape[:2])
        x = -x if thing.mirrored else x
        cosine, sine = scale * np.cos(thing.angle), scale * np.sin(thing.angle)
        centre = (thing.centre[0] + cosine * x - sine * y, thing.centre[1] + sine * x + cosine * y)
        side = thing.side * rng.uniform(.15, .4)
        part = replace(thing, cut_out=self.cut_out(rng), centre=centre, side=side,
                       shadow=0, part_of=0)
        return [thing, part]


def _renumbered(things: list[Placed]) -> list[Placed]:
    """Let each part name the thing before it, which it is a part of."""
    return [thing if thing.part_of is None else replace(thing, part_of=index - 1)
            for index, thing in enumerate(things)]
