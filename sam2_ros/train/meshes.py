# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meshes for the renderer: those of packages, and vessels, boxes and bars of our own making."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.errors import TrainError
from sam2_ros.train.textures import Rng

Points = NDArray[np.float64]
# Edges sharper than this look like edges.
_CREASE = np.cos(np.radians(40))


class Mesh(NamedTuple):
    """Vertices [V, 3] and the vertices of each triangle, int [F, 3]."""

    vertices: Points
    triangles: NDArray[np.intp]


def read_obj(file: Path) -> Mesh:
    """Return the vertices and triangles of an OBJ file; :raises TrainError: it has none."""
    vertices, triangles = [], []
    for line in file.read_text(errors='replace').splitlines():
        words = line.split()
        if words[:1] == ['v']:
            vertices.append([float(word) for word in words[1:4]])
        elif words[:1] == ['f']:
            corners = [int(word.partition('/')[0]) for word in words[1:]]
            triangles += [[corners[0], *pair] for pair in itertools.pairwise(corners[1:])]
    if not triangles or not np.isfinite(vertices).all():
        raise TrainError(f'{file}: no mesh in it')
    return Mesh(np.array(vertices), np.array(triangles, np.intp) - 1)


def obj_text(mesh: Mesh) -> str:
    """
    Return an OBJ with normals and texture coordinates, its longest side 1, its centre at 0.

    The texture is laid on from the side that each triangle faces most.
    """
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    vertices = (mesh.vertices - (low + high) / 2) / (high - low).max()
    corners = vertices[mesh.triangles]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(areas, axis=1)
    kept = lengths > 1e-9
    corners, faces = corners[kept], areas[kept] / lengths[kept, None]
    facing = np.abs(faces).argmax(1)
    seen = np.array([[1, 2], [0, 2], [0, 1]])[facing]
    texture = np.take_along_axis(corners, seen[:, None, :], 2) + .5
    lines = [f'v {x:.5f} {y:.5f} {z:.5f}' for x, y, z in corners.reshape(-1, 3)]
    lines += [f'vt {u:.5f} {v:.5f}' for u, v in texture.reshape(-1, 2)]
    lines += [f'vn {x:.4f} {y:.4f} {z:.4f}' for x, y, z in _normals(corners, faces)]
    lines += ['f ' + ' '.join(f'{n}/{n}/{n}' for n in (3 * i + 1, 3 * i + 2, 3 * i + 3))
              for i in range(len(corners))]
    return '\n'.join(lines) + '\n'


def random_mesh(rng: Rng) -> Mesh:
    """Return a vessel, a box with round edges, a bar, a ring, or two of them joined."""
    mesh = _FORMS[rng.integers(len(_FORMS))](rng)
    if rng.random() < .25:
        mesh = _joined(mesh, _handle(rng))
    return mesh


def _normals(corners: Points, faces: Points) -> Points:
    """Return the normal of every corner [3 F, 3]: smooth but for creases."""
    keys = np.round(corners.reshape(-1, 3), 4)
    _, vertex = np.unique(keys, axis=0, return_inverse=True)
    vertex = vertex.reshape(-1)
    own = np.repeat(faces, 3, axis=0)
    order = np.argsort(vertex, kind='stable')
    borders = np.flatnonzero(np.diff(vertex[order])) + 1
    normals = np.empty_like(own)
    for group in np.split(order, borders):
        alike = (own[group] @ own[group].T) > _CREASE
        normals[group] = alike.astype(float) @ own[group]
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)


def _grid(points: Points) -> Mesh:
    """Return the mesh of a grid of points [R, C, 3] that closes around its columns."""
    rows, columns = points.shape[:2]
    row, column = np.mgrid[:rows - 1, :columns]
    beside = (column + 1) % columns
    a, b = row * columns + column, row * columns + beside
    c, d = a + columns, b + columns
    triangles = np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)])
    return Mesh(points.reshape(-1, 3), triangles.reshape(-1, 3))


def _vessel(rng: Rng) -> Mesh:
    """Turn a profile: bottles, cups, bowls, plates, vases; hollow ones have an inside."""
    height = rng.choice([.15, .5, 1, 1.5, 2.5]) * rng.uniform(.8, 1.2)
    share = np.linspace(0, 1, 9)
    knots = rng.uniform(.35, 1, 4)
    radius = np.interp(share, [0, .3, .7, 1], knots)
    radius = np.convolve(np.pad(radius, 1, mode='edge'), [.25, .5, .25], 'valid')
    outside = np.stack([radius, share * height], 1)
    if rng.random() < .6:
        inside = np.stack([.88 * radius, np.maximum(share * height, .06)], 1)[::-1]
        profile = np.concatenate([[[0, 0]], outside, inside, [[0, .06]]])
    else:
        profile = np.concatenate([[[0, 0]], outside, [[0, height]]])
    return _turned(profile, int(rng.choice([24, 24, 24, 6, 8])))


def _turned(profile: Points, count: int) -> Mesh:
    angle = np.arange(count) * 2 * np.pi / count
    radius, height = profile[:, :1], profile[:, 1:]
    return _grid(np.stack([radius * np.cos(angle), radius * np.sin(angle),
                           np.broadcast_to(height, (len(profile), count))], -1))


def _superquadric(rng: Rng) -> Mesh:
    """Return what lies between a box, a cylinder and an ellipsoid, of any proportions."""
    east, north = rng.choice([.1, .3, 1.], 2)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 13)[:, None]
    longitude = np.linspace(0, 2 * np.pi, 24, endpoint=False)

    def power(wave: Points, exponent: float) -> Points:
        return np.sign(wave) * np.abs(wave) ** exponent

    around = power(np.cos(latitude), north)
    unit = np.stack([around * power(np.cos(longitude), east),
                     around * power(np.sin(longitude), east),
                     np.broadcast_to(power(np.sin(latitude), north), (13, 24))], -1)
    return _grid(unit * np.exp(rng.uniform(-1.2, 0, 3)))


def _bar(rng: Rng) -> Mesh:
    """Sweep a circle along an arc: bananas, hooks, rods, rings."""
    bend = rng.choice([.3, 1.5, 3, 2 * np.pi])
    thickness = rng.uniform(.08, .35)
    along = np.linspace(0, bend, 17)[:, None]
    around = np.arange(12) * np.pi / 6
    # Thinner at the ends, but for closed rings.
    taper = 1. if bend > 6 else np.sqrt(np.clip(1.02 - (2 * along / bend - 1) ** 4, .02, 1))
    radius = 1 + thickness * taper * np.cos(around)
    return _grid(np.stack([radius * np.cos(along), radius * np.sin(along),
                           thickness * taper * np.sin(around) + 0 * along], -1))


def _prism(rng: Rng) -> Mesh:
    """Raise a star or a polygon to a plate or a column."""
    count = int(rng.integers(3, 9)) * 2
    angle = np.arange(count) * 2 * np.pi / count
    radius = np.where(np.arange(count) % 2, rng.uniform(.4, 1), 1)
    height = np.exp(rng.uniform(-1.5, .7))
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    levels = [(0, 0), (1, 0), (1, height), (0, height)]
    return _grid(np.stack([np.column_stack([scale * outline, np.full(count, level)])
                           for scale, level in levels]))


def _handle(rng: Rng) -> Mesh:
    """Return a half ring beside the axis, upright, as a cup's handle."""
    ring = _bar(rng)
    size = rng.uniform(.25, .5)
    return Mesh(size * ring.vertices[:, [0, 2, 1]] + [.7, 0, .5], ring.triangles)


def _joined(first: Mesh, second: Mesh) -> Mesh:
    return Mesh(np.concatenate([first.vertices, second.vertices]),
                np.concatenate([first.triangles, second.triangles + len(first.vertices)]))


_FORMS: tuple[Callable[[Rng], Mesh], ...] = (
    _vessel, _vessel, _vessel, _superquadric, _superquadric, _superquadric, _bar, _prism)
