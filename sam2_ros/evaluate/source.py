# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which set an evaluation is made on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_ros.model.bundle import sha256_of


@dataclass(frozen=True)
class CocoSource:
    """A COCO instances file, the folder of its pictures, and which categories (none: all)."""

    annotations: Path
    images: Path
    categories: Sequence[str] = ()

    @property
    def name(self) -> str:
        """What the set is called in reports."""
        return self.annotations.name

    def to_json(self) -> dict[str, Any]:
        """Return what tells one set from another."""
        return {'coco': str(self.annotations.resolve()), 'sha256': sha256_of(self.annotations),
                'images': str(self.images.resolve()), 'categories': list(self.categories)}


@dataclass(frozen=True)
class DavisSource:
    """A folder in the layout of DAVIS, and a file with the names of clips (None: all)."""

    root: Path
    clips: Path | None = None

    @property
    def name(self) -> str:
        """What the set is called in reports."""
        return self.root.resolve().name

    def to_json(self) -> dict[str, Any]:
        """Return what tells one set from another."""
        return {'davis': str(self.root.resolve()),
                'clips_sha256': None if self.clips is None else sha256_of(self.clips)}
