# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A set of pictures whose objects are described by a COCO instances file."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO

from sam2_ros.evaluate.accuracy import Mask
from sam2_ros.evaluate.errors import EvaluationError
from sam2_ros.evaluate.problems import Problem, UnusableError
from sam2_ros.model.errors import ImageError, first_line
from sam2_ros.model.image_files import read_photo

#: Pixels by which a polygon may reach out of its picture: tools round differently.
_OVERHANG = 1.0


@dataclass(frozen=True)
class TrueObject:
    """An object of a picture: its ids, its category's name, its mask [height, width]."""

    annotation_id: int
    category: str
    mask: Mask

    @property
    def area(self) -> int:
        """Pixels of it."""
        return int(np.count_nonzero(self.mask))


class CocoSet:
    """
    Pictures with instance masks, read one at a time.

    Objects with fewer than ``min_area`` pixels and crowds (``iscrowd``) are left out and counted.

    :param limit: so many pictures; None: all.
    :param seed: of the order, which is random, so that any beginning of it is a fair sample.
    :param categories: names; none: all.
    :raises EvaluationError: the file is no COCO instances file, the folder is not there, a
        category is unknown, or there is no picture.
    """

    def __init__(
        self, annotations: Path, images: Path, limit: int | None = None, seed: int = 0,
        categories: Sequence[str] = (), min_area: int = 1,
    ) -> None:
        if not images.is_dir():
            raise EvaluationError(f'{images}: no such folder')
        self._images = images
        self._coco = _load(annotations)
        self._min_area = min_area
        self._chosen = bool(categories)
        self._categories = _category_names(self._coco, annotations, categories)
        with_objects = sorted(
            image for image, annotations in self._coco.imgToAnns.items()
            if any(map(self._is_wanted, annotations)))
        order = np.random.default_rng(seed).permutation(len(with_objects))
        self.image_ids: list[int] = [with_objects[index] for index in order][:limit]
        if not self.image_ids:
            raise EvaluationError(f'{annotations}: it has no picture with such objects')

    def file_name(self, image_id: int) -> str:
        """Return the name of a picture's file; its id where the description has none."""
        return str(self._coco.imgs.get(image_id, {}).get('file_name', image_id))

    def read(self, image_id: int) -> npt.NDArray[np.uint8]:
        """Return a picture [height, width, 3] uint8 RGB; :raises UnusableError: why not."""
        described = self._coco.imgs.get(image_id)
        name = self.file_name(image_id)
        if described is None:
            raise UnusableError(
                'image not described', name, 'objects refer to it, "images" has it not')
        try:
            image = read_photo(self._images / name)
        except ImageError as error:
            missing = not (self._images / name).is_file()
            raise UnusableError(
                'image missing' if missing else 'image unreadable', name, str(error)) from None
        height, width = image.shape[:2]
        if (described.get('height'), described.get('width')) != (height, width):
            raise UnusableError(
                'image of another size', name, f'{width}x{height} pixels, described as '
                f'{described.get("width")}x{described.get("height")}')
        return image

    def objects(
        self, image_id: int, image_size: tuple[int, int],
    ) -> Iterator[TrueObject | Problem]:
        """Yield the objects of a picture of ``(height, width)``, or why one is left out."""
        # Not by their ids, of which two objects of a careless set may have the same.
        for annotation in filter(self._is_wanted, self._coco.imgToAnns[image_id]):
            yield self._object(annotation, image_id, image_size)

    def _is_wanted(self, annotation: dict[str, Any]) -> bool:
        category = annotation['category_id']
        # One that is not described is looked at, so that it is told of, unless some were chosen.
        return category in self._categories or (
            not self._chosen and category not in self._coco.cats)

    def _object(
        self, annotation: dict[str, Any], image_id: int, image_size: tuple[int, int],
    ) -> TrueObject | Problem:
        where = f'{self.file_name(image_id)}, object {annotation["id"]}'
        if annotation['category_id'] not in self._categories:
            return Problem('category not described', where, f'id {annotation["category_id"]}')
        if annotation.get('iscrowd'):
            return Problem('crowd', where, 'one mask for many objects')
        if not _polygons_fit(annotation.get('segmentation'), image_size):
            return Problem('mask does not fit', where, 'its polygons reach out of the picture')
        try:
            mask = self._coco.annToMask(annotation).astype(bool)
        except Exception as error:  # Whatever a malformed segmentation makes pycocotools raise.
            return Problem('mask unreadable', where, first_line(error))
        if mask.shape != image_size:
            return Problem(
                'mask does not fit', where, f'{mask.shape[1]}x{mask.shape[0]} pixels, the picture '
                f'has {image_size[1]}x{image_size[0]}')
        found = TrueObject(annotation['id'], self._categories[annotation['category_id']], mask)
        if not found.area:
            return Problem('mask empty', where, 'no pixel of the picture is in it')
        if found.area < self._min_area:
            return Problem('smaller than --min-area', where, f'{found.area} pixels')
        return found


def _polygons_fit(segmentation: Any, image_size: tuple[int, int]) -> bool:
    """Say whether polygons stay in the picture; pycocotools would cut them off in silence."""
    if not isinstance(segmentation, list):
        return True  # run-length encoded: has a size of its own
    limits = np.array(image_size[::-1]) + _OVERHANG
    for polygon in segmentation:
        try:
            points = np.asarray(polygon, np.float64).reshape(-1, 2)
        except (TypeError, ValueError):
            return True  # no polygon: for pycocotools to refuse
        if (points < -_OVERHANG).any() or (points > limits).any():
            return False
    return True


def _load(file: Path) -> COCO:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it tells how long it took
            coco = COCO(str(file))
    except OSError as error:
        raise EvaluationError(f'{file}: cannot be read ({error.strerror})') from None
    except Exception as error:  # Not JSON, or JSON of another kind.
        raise EvaluationError(f'{file}: no COCO instances file: {first_line(error)}') from None
    if not coco.anns or not coco.imgs or not coco.cats:
        raise EvaluationError(
            f'{file}: no COCO instances file, or an empty one: {len(coco.imgs)} images, '
            f'{len(coco.anns)} annotations, {len(coco.cats)} categories')
    if nameless := [key for key, each in coco.cats.items() if 'name' not in each]:
        raise EvaluationError(f'{file}: category {nameless[0]} has no name')
    if len({type(image) for image in coco.imgToAnns}) > 1:
        raise EvaluationError(f'{file}: some ids of images are numbers, others are not')
    return coco


def _category_names(coco: COCO, file: Path, wanted: Sequence[str]) -> dict[int, str]:
    names = {identifier: str(each['name']) for identifier, each in coco.cats.items()}
    if unknown := sorted(set(wanted) - set(names.values())):
        raise EvaluationError(
            f'{file}: there is no category "{unknown[0]}"; there are: '
            f'{", ".join(sorted(set(names.values())))}')
    return {
        identifier: name for identifier, name in names.items() if not wanted or name in wanted}
