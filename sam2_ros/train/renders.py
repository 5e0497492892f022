# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered tabletop scenes: PyBullet lets things fall on a table and draws them, on the CPU."""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.layers import CutOut
from sam2_ros.train.material import Material, encoded
from sam2_ros.train.meshes import obj_text, random_mesh, read_obj
from sam2_ros.train.motion import Wave
from sam2_ros.train.textures import Image, Rng, random_colour

# Pictures are drawn finer by this factor, and averaged: soft edges, as a camera's.
_FINER = 1.5
# Kinds of mesh of our own making (training only), and cut-outs that composites can show.
_OWN_MESHES = 600
_CUT_OUTS = 800
_CUT_OUT_SIDE = 192
_TEXTURE_SIDE = 256
# Simulated seconds a step.
_STEP = 1 / 120


@dataclass(frozen=True)
class _Light:
    """How a scene is lit, as the arguments of getCameraImage."""

    direction: list[float]
    colour: list[float]
    ambient: float
    diffuse: float
    specular: float
    shadow: bool


@dataclass(frozen=True)
class _View:
    """Where the camera is: metres and degrees, as computeViewMatrixFromYawPitchRoll has them."""

    target: tuple[float, float, float]
    distance: float
    yaw: float
    pitch: float
    roll: float
    field: float


class Renderer:
    """
    Draws scenes of one split's meshes, textures and photographs.

    Each has a simulation of its own, in this process; ``close`` ends it.

    :raises ModuleNotFoundError: no PyBullet here.
    """

    def __init__(self, material: Material) -> None:
        import pybullet

        self._bullet = pybullet
        self._material = material
        self._client = pybullet.connect(pybullet.DIRECT)
        # PyBullet takes textures from files only.
        self._textures = tempfile.TemporaryDirectory(prefix='sam2_ros_textures_')
        self._texture_count = 0

    def close(self) -> None:
        """End the simulation and remove its files."""
        self._bullet.disconnect(self._client)
        self._textures.cleanup()

    def scene(self, rng: Rng, size: int) -> tuple[Image, NDArray[np.bool_], list[str]]:
        """Return a picture uint8 [size, size, 3], masks bool [N, size, size] and names [N]."""
        bodies = self._table_with_things(rng, most=15)
        self._fall(int(rng.integers(60, 200)))
        backdrop = self._material.background(rng, size)
        image, masks = self._drawn(size, bodies, _view(rng), _light(rng), backdrop)
        return image, masks, list(bodies.values())

    def clip(
        self, rng: Rng, size: int, frames: int, step: float,
    ) -> tuple[Image, NDArray[np.bool_], list[str]]:
        """
        Return a clip: the camera moves, and in half of them things are pushed or still fall.

        :param step: time between two frames; 1 is a thirtieth of a second.
        :return: frames uint8 [T, size, size, 3], masks bool [T, N, size, size], names [N].
        """
        bodies = self._table_with_things(rng, most=10)
        falling = rng.random() < .5
        self._fall(int(rng.integers(10, 40)) if falling else 150)
        if falling:
            for body in bodies:
                self._bullet.resetBaseVelocity(body, [*rng.normal(0, .35, 2), 0],
                                               rng.normal(0, 3, 3).tolist(), self._client)
        backdrop = self._material.background(rng, size)
        light, path = _light(rng), _CameraPath.random(rng)
        drawn = []
        for frame in range(frames):
            drawn.append(self._drawn(size, bodies, path.at(step * frame), light, backdrop))
            if falling:
                self._fall(round(4 * step))
        images, masks = zip(*drawn, strict=True)
        return np.stack(images), np.stack(masks), list(bodies.values())

    def cut_out(self, rng: Rng) -> CutOut:
        """Return one of ``_CUT_OUTS`` things, drawn once and kept in the cache folder."""
        number = int(rng.integers(_CUT_OUTS))
        name = f'{self._material.assets.split}_{number:04d}'
        picture = self._material.kept(
            'cut_out', name, lambda: encoded(self._drawn_alone(number)))
        return CutOut(picture, f'cut-out of a render:{name}')

    def _drawn_alone(self, number: int) -> Image:
        """Return a thing without a ground, uint8 [h, w, 4]."""
        rng = np.random.default_rng([zlib.crc32(self._material.assets.split.encode()), number])
        self._reset()
        body, _ = self._thing(rng, .2, [0, 0, 0])
        view = _View((0, 0, 0), .45, rng.uniform(0, 360), rng.uniform(-60, 10), 0, 40)
        side = _CUT_OUT_SIDE
        image, masks = self._drawn(side, {body: ''}, view, _light(rng), None)
        left, top, width, height = cv2.boundingRect(masks[0].astype(np.uint8))
        rgba = np.dstack([image, 255 * masks[0].astype(np.uint8)])
        part = rgba[top:top + height, left:left + width]
        return np.ascontiguousarray(part) if part.size else np.zeros((1, 1, 4), np.uint8)

    def _reset(self) -> None:
        """Begin with nothing: a new simulation, since resetting one leaves shapes to be drawn."""
        self._bullet.disconnect(self._client)
        self._client = self._bullet.connect(self._bullet.DIRECT)
        # Meshes are read anew too: the next scene may have another one of the same name.
        self._bullet.setPhysicsEngineParameter(
            enableFileCaching=0, fixedTimeStep=_STEP, deterministicOverlappingPairs=1,
            physicsClientId=self._client)
        self._bullet.setGravity(0, 0, -9.8, self._client)
        for file in Path(self._textures.name).iterdir():
            file.unlink()

    def _table_with_things(self, rng: Rng, most: int) -> dict[int, str]:
        """Build a scene anew and return its things: body numbers and names."""
        self._reset()
        self._plane(rng, [0, 0, 0], [0, 0, 0], rng.choice([1, 1.5, 3]))
        if rng.random() < .4:
            # A wall behind what the camera sees, wherever it looks from.
            self._plane(rng, [0, rng.uniform(.4, 1), 0], [np.pi / 2, 0, 0], 4)
        count = int(rng.integers(most // 4, most))
        spread = rng.uniform(.08, .25)
        things = {}
        for level in range(count):
            side = float(np.exp(rng.uniform(np.log(.06), np.log(.3))))
            position = [*rng.normal(0, spread, 2), side / 2 + .06 * level]
            body, name = self._thing(rng, side, position)
            things[body] = name
        return things

    def _fall(self, steps: int) -> None:
        for _ in range(steps):
            self._bullet.stepSimulation(self._client)

    def _plane(self, rng: Rng, position: list[float], turn: list[float], side: float) -> None:
        bullet, repeats = self._bullet, rng.choice([1., 2, 4])
        visual = bullet.createVisualShape(
            bullet.GEOM_MESH, vertices=[[x * side, y * side, 0] for x, y in _SQUARE],
            indices=[0, 1, 2, 0, 2, 3], normals=[[0, 0, 1]] * 4,
            uvs=[[(x + .5) * repeats, (y + .5) * repeats] for x, y in _SQUARE],
            rgbaColor=[1, 1, 1, 1], specularColor=[.1] * 3, physicsClientId=self._client)
        collision = bullet.createCollisionShape(bullet.GEOM_PLANE, physicsClientId=self._client)
        body = bullet.createMultiBody(
            0, collision, visual, position, bullet.getQuaternionFromEuler(turn),
            physicsClientId=self._client)
        self._cover(rng, body)

    def _thing(self, rng: Rng, side: float, position: list[float]) -> tuple[int, str]:
        bullet = self._bullet
        name, file = self._mesh(rng)
        scale = (side * rng.uniform(.75, 1, 3)).tolist()
        visual = bullet.createVisualShape(
            bullet.GEOM_MESH, fileName=str(file), meshScale=scale, rgbaColor=[1, 1, 1, 1],
            specularColor=[float(rng.uniform(0, .6))] * 3, physicsClientId=self._client)
        collision = bullet.createCollisionShape(
            bullet.GEOM_MESH, fileName=str(file), meshScale=scale, physicsClientId=self._client)
        upright = rng.random() < .5
        turn = [0, 0, rng.uniform(0, 7)] if upright else rng.uniform(0, 7, 3).tolist()
        body = bullet.createMultiBody(
            .1, collision, visual, position, bullet.getQuaternionFromEuler(turn),
            physicsClientId=self._client)
        bullet.changeDynamics(body, -1, lateralFriction=.8, rollingFriction=.002,
                              physicsClientId=self._client)
        if rng.random() < .35:
            colour = [*(random_colour(rng) / 255).tolist(), 1]
            bullet.changeVisualShape(body, -1, rgbaColor=colour, physicsClientId=self._client)
        else:
            self._cover(rng, body)
        return body, name

    def _mesh(self, rng: Rng) -> tuple[str, Path]:
        """Return a mesh's name and file; half of the meshes of training are of our own making."""
        assets = self._material.assets
        if assets.split == 'train' and (not assets.meshes or rng.random() < .5):
            number = int(rng.integers(_OWN_MESHES))
            return f'own mesh {number}', self._material.kept_file(
                'mesh', f'own_{number:04d}.obj',
                lambda: obj_text(random_mesh(np.random.default_rng(number))).encode())
        asset = assets.meshes[rng.integers(len(assets.meshes))]
        return asset.key, self._material.kept_file(
            'mesh', f'{asset.file.stem}.obj', lambda: obj_text(read_obj(asset.file)).encode())

    def _cover(self, rng: Rng, body: int) -> None:
        self._texture_count += 1
        # BMP, the fastest to read, and lossless.
        file = Path(self._textures.name) / f'{self._texture_count}.bmp'
        texture = self._material.texture(rng, _TEXTURE_SIDE, _TEXTURE_SIDE)
        cv2.imwrite(str(file), texture[..., ::-1])
        number = self._bullet.loadTexture(str(file), physicsClientId=self._client)
        self._bullet.changeVisualShape(
            body, -1, textureUniqueId=number, physicsClientId=self._client)

    def _drawn(
        self, size: int, bodies: dict[int, str], view: _View, light: _Light,
        backdrop: Image | None,
    ) -> tuple[Image, NDArray[np.bool_]]:
        """Return the picture uint8 [size, size, 3] and the mask of each body [N, size, size]."""
        bullet, fine = self._bullet, round(_FINER * size)
        _, _, rgba, _, segments = bullet.getCameraImage(
            fine, fine,
            bullet.computeViewMatrixFromYawPitchRoll(
                view.target, view.distance, view.yaw, view.pitch, view.roll, 2),
            bullet.computeProjectionMatrixFOV(view.field, 1, .02, 10),
            lightDirection=light.direction, lightColor=light.colour, lightDistance=3,
            shadow=int(light.shadow), lightAmbientCoeff=light.ambient,
            lightDiffuseCoeff=light.diffuse, lightSpecularCoeff=light.specular,
            renderer=bullet.ER_TINY_RENDERER, physicsClientId=self._client)
        picture = np.reshape(rgba, (fine, fine, 4))[..., :3].astype(np.uint8)
        owner = np.reshape(segments, (fine, fine))
        if backdrop is not None and (owner < 0).any():
            behind = cv2.resize(backdrop, (fine, fine), interpolation=cv2.INTER_LINEAR)
            picture = np.where((owner < 0)[..., None], behind, picture)
        image = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        # The body that covers most of a pixel has it.
        cover = np.stack([cv2.resize((owner == body).astype(np.float32), (size, size),
                                     interpolation=cv2.INTER_AREA) for body in bodies])
        return np.asarray(image, np.uint8), cover > .5


@dataclass(frozen=True)
class _CameraPath:
    """A camera that goes around the scene, nearer and farther."""

    start: _View
    yaw: Wave
    pitch: Wave
    distance: Wave
    x: Wave
    y: Wave

    @staticmethod
    def random(rng: Rng) -> _CameraPath:
        start, pace = _view(rng), rng.choice([.3, 1, 2])
        return _CameraPath(
            start, Wave.random(rng, start.yaw, .3 * pace, 12 * pace),
            Wave.random(rng, start.pitch, 0, 4 * pace),
            Wave.random(rng, 0, .001 * pace, .06 * pace),
            Wave.random(rng, start.target[0], 0, .04 * pace),
            Wave.random(rng, start.target[1], 0, .04 * pace))

    def at(self, time: float) -> _View:
        """Return the view at a time in frames, never from below the table."""
        return _View(
            (self.x.at(time), self.y.at(time), self.start.target[2]),
            self.start.distance * float(np.exp(self.distance.at(time))), self.yaw.at(time),
            float(np.clip(self.pitch.at(time), -89, -8)), self.start.roll, self.start.field)


_SQUARE = ((-.5, -.5), (.5, -.5), (.5, .5), (-.5, .5))


def _view(rng: Rng) -> _View:
    x, y = rng.normal(0, .06, 2)
    # Seen from the side that is away from the wall, if there is one.
    return _View((float(x), float(y), .05), float(rng.uniform(.35, .9)),
                 float(rng.uniform(-60, 60)), float(rng.uniform(-85, -15)),
                 float(rng.normal(0, 4)), float(rng.uniform(35, 65)))


def _light(rng: Rng) -> _Light:
    return _Light(
        direction=[*rng.uniform(-1.5, 1.5, 2).tolist(), float(rng.uniform(.7, 2))],
        colour=rng.uniform(.8, 1, 3).tolist(), ambient=float(rng.uniform(.35, .7)),
        diffuse=float(rng.uniform(.3, .8)), specular=float(rng.uniform(0, .5)),
        shadow=bool(rng.random() < .8))
