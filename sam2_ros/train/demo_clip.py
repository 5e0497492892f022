# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The clip of `sam2-ros demo`: a ball rolls behind a tin and comes out, a mug leaves the picture.

``python -m sam2_ros.train.demo_clip FILE.webm`` renders it again, with PyBullet and its mug (Zlib
licence); all else is made here. The package ships the result.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sam2_ros.model.image_files import write_png
from sam2_ros.model.video_files import VideoWriter

FRAMES, RATE = 84, 10.0
HEIGHT, WIDTH = 480, 640
#: Drawn finer by this factor and averaged, as a camera does.
FINER = 1.5
#: Radius of the ball in metres.
BALL = .075

Image = NDArray[np.uint8]


def wood(rng: np.random.Generator, size: int = 512) -> Image:
    """Return planks, uint8 [size, size, 3]."""
    y, x = np.mgrid[:size, :size] / size
    grain = np.sin(60 * (y + .02 * np.sin(9 * x) + .01 * rng.normal(size=(size, 1)).cumsum(0) / 9))
    fine = cv2.GaussianBlur(rng.normal(size=(size, size)), (61, 3), 12)
    shade = .8 + .05 * grain + .5 * fine - .25 * ((x * 4) % 1 < .012)
    return np.clip(shade[..., None] * (196, 152, 104), 0, 255).astype(np.uint8)


def leather() -> Image:
    """Return the ball's red with its seams, uint8 [128, 256, 3]."""
    image = np.full((128, 256, 3), (214, 40, 40), np.uint8)
    image[:, ::64] = image[62:66] = (170, 24, 24)
    return image


def plain(*colour: int) -> Image:
    """Return one colour, uint8 [8, 8, 3]."""
    return np.full((8, 8, 3), colour, np.uint8)


def smooth(t: float, begin: float, end: float) -> float:
    """Go from 0 to 1 between two times, softly."""
    s = np.clip((t - begin) / (end - begin), 0, 1)
    return float(s * s * (3 - 2 * s))


class Table:
    """
    The scene, and the camera before it.

    :param textures: a folder to write textures to, which PyBullet takes from files only.
    """

    def __init__(self, textures: Path) -> None:
        import pybullet as bullet

        self._bullet = bullet
        self._textures = textures
        bullet.connect(bullet.DIRECT)
        found = importlib.util.find_spec('pybullet_data')
        assert found  # it comes with pybullet
        assert found.origin
        mug = Path(found.origin).with_name('objects') / 'mug.obj'
        table, wall = wood(np.random.default_rng(4)), plain(188, 196, 190)
        self._body(bullet.GEOM_BOX, table, [0, .3, -.02], halfExtents=[1.4, .9, .02])
        self._body(bullet.GEOM_BOX, wall, [0, 1.2, .5], halfExtents=[3, .02, 1.5])
        self._body(bullet.GEOM_BOX, plain(62, 96, 168), [.42, .3, .12], halfExtents=[.12, .06, .12])
        self._body(bullet.GEOM_MESH, plain(60, 160, 150), [-.36, -.24, 0], fileName=str(mug),
                   meshScale=[1.3] * 3)
        self._body(bullet.GEOM_CYLINDER, plain(120, 170, 50), [0, -.06, .13], radius=.08,
                   length=.26)
        self._ball = self._body(bullet.GEOM_SPHERE, leather(), [0, 0, 0], radius=BALL)

    def draw(self, frame: int) -> Image:
        """Return a frame, uint8 [HEIGHT, WIDTH, 3] RGB."""
        bullet = self._bullet
        x = -.36 + .62 * smooth(frame, 2, 56) - .03 * smooth(frame, 64, 82)
        bullet.resetBasePositionAndOrientation(
            self._ball, [x, .16, BALL], bullet.getQuaternionFromEuler([.3, x / BALL, .2]))
        pan = 9 * (smooth(frame, 20, 46) - smooth(frame, 52, 78))
        view = bullet.computeViewMatrixFromYawPitchRoll(
            [.016 * pan, -.02, .06], 1.02, -.6 * pan + 3 * np.sin(frame / 20), -30, 0, 2)
        lens = bullet.computeProjectionMatrixFOV(42, WIDTH / HEIGHT, .05, 10)
        width, height = round(FINER * WIDTH), round(FINER * HEIGHT)
        pixels = bullet.getCameraImage(
            width, height, view, lens, lightDirection=[-.6, -1, 1.6],
            lightColor=[1, .98, .95], shadow=1, lightAmbientCoeff=.55, lightDiffuseCoeff=.5,
            lightSpecularCoeff=.15, renderer=bullet.ER_TINY_RENDERER)[2]
        image = np.reshape(pixels, (height, width, 4))[..., :3].astype(np.uint8)
        small = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        return small.astype(np.uint8, copy=False)

    def _body(self, kind: int, texture: Image, position: list[float], **shape: object) -> int:
        bullet = self._bullet
        visual = bullet.createVisualShape(
            kind, rgbaColor=[1, 1, 1, 1], specularColor=[.2] * 3, **shape)
        body = int(bullet.createMultiBody(0, -1, visual, position))
        file = self._textures / f'{body}.png'
        write_png(file, texture)
        bullet.changeVisualShape(body, -1, textureUniqueId=bullet.loadTexture(str(file)))
        return body


def main() -> None:
    """Render the clip."""
    with tempfile.TemporaryDirectory() as textures:
        table = Table(Path(textures))
        writer = VideoWriter(Path(sys.argv[1]), RATE, (HEIGHT, WIDTH))
        for frame in range(FRAMES):
            writer.write(table.draw(frame))
        writer.close()


if __name__ == '__main__':
    main()
