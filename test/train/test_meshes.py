# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meshes: closed and sane, and as OBJ files that renderers read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_ros.train.errors import TrainError
from sam2_ros.train.meshes import Mesh, obj_text, random_mesh, read_obj

TETRAHEDRON = Mesh(np.array([[0, 0, 0], [4, 0, 0], [0, 2, 0], [0, 0, 2.]]),
                   np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))


@pytest.mark.parametrize('seed', range(20))
def test_meshes_of_our_own_are_finite_and_have_a_body(seed: int) -> None:
    mesh = random_mesh(np.random.default_rng(seed))
    assert np.isfinite(mesh.vertices).all()
    assert mesh.triangles.min() >= 0
    assert mesh.triangles.max() < len(mesh.vertices)
    assert np.ptp(mesh.vertices, axis=0).min() > .02 * np.ptp(mesh.vertices, axis=0).max()


def test_an_obj_is_centred_and_one_long(tmp_path: Path) -> None:
    file = tmp_path / 'mesh.obj'
    file.write_text(obj_text(TETRAHEDRON))
    mesh = read_obj(file)
    np.testing.assert_allclose(mesh.vertices.min(0), [-.5, -.25, -.25], atol=1e-5)
    np.testing.assert_allclose(mesh.vertices.max(0), [.5, .25, .25], atol=1e-5)
    assert len(mesh.triangles) == 4


def test_normals_of_an_obj_point_outwards_and_are_of_unit_length() -> None:
    lines = [line.split() for line in obj_text(TETRAHEDRON).splitlines()]
    corners, normals = (np.array([line[1:] for line in lines if line[0] == kind], float)
                        for kind in ('v', 'vn'))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
    inside = corners.reshape(-1, 3).mean(0)
    assert ((corners - inside) * normals).sum(1).min() > 0


def test_polygons_become_triangles(tmp_path: Path) -> None:
    file = tmp_path / 'square.obj'
    file.write_text('v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1/1/1 2/2/2 3/3/3 4/4/4\n')
    np.testing.assert_array_equal(read_obj(file).triangles, [[0, 1, 2], [0, 2, 3]])


@pytest.mark.parametrize('text', ['', 'v 0 0 0\n', 'v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n'])
def test_a_file_without_a_mesh_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / 'empty.obj'
    file.write_text(text)
    with pytest.raises(TrainError, match=r'empty\.obj: no mesh in it'):
        read_obj(file)
