# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sets in the layouts of COCO and DAVIS, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip('pycocotools', reason='no pycocotools here: nothing can be evaluated')
pytest.importorskip('PIL', reason='no Pillow here: nothing can be evaluated')

from sam2_ros.evaluate.coco import CocoSet, TrueObject
from sam2_ros.evaluate.davis import DavisSet, TrackedTruth
from sam2_ros.evaluate.degradation import Degradation
from sam2_ros.evaluate.errors import EvaluationError
from sam2_ros.evaluate.problems import Problem, UnusableError

# CocoFiles and DavisFiles of conftest.py, which pytest imports by itself.
MakeCoco = Callable[[], Any]


def objects_of(images: CocoSet, image_id: int) -> tuple[list[TrueObject], list[Problem]]:
    """Return what can be used of a picture, and what cannot."""
    image = images.read(image_id)
    found = list(images.objects(image_id, (image.shape[0], image.shape[1])))
    return ([each for each in found if isinstance(each, TrueObject)],
            [each for each in found if isinstance(each, Problem)])


def test_coco_gives_the_masks_that_were_written(make_coco: MakeCoco) -> None:
    files = make_coco()
    images = CocoSet(files.annotations, files.images)
    found: dict[int, TrueObject] = {}
    for image_id in images.image_ids:
        objects, problems = objects_of(images, image_id)
        assert problems == []
        found |= {each.annotation_id: each for each in objects}
    assert set(found) == set(files.masks)
    for key, mask in files.masks.items():
        assert (found[key].mask == mask).all()
        assert found[key].area == mask.sum()
    assert [found[key].category for key in sorted(found)] == [
        'cup', 'cat', 'face', 'cat', 'cup', 'face', 'cup']


def test_coco_polygons(make_coco: MakeCoco) -> None:
    """A rectangle given by its corners has the pixels inside them."""
    files = make_coco()
    files.document['annotations'][0]['segmentation'] = [[20, 30, 60, 30, 60, 50, 20, 50]]
    images = CocoSet(files.write().annotations, files.images)
    objects, _ = objects_of(images, 1)
    expected = np.zeros_like(files.masks[100])
    expected[30:50, 20:60] = True
    assert (objects[0].mask == expected).all()


def test_coco_limit_is_a_fair_beginning(make_coco: MakeCoco) -> None:
    files = make_coco()
    whole = CocoSet(files.annotations, files.images, seed=1).image_ids
    assert sorted(whole) == [1, 2, 3, 4]
    assert CocoSet(files.annotations, files.images, limit=2, seed=1).image_ids == whole[:2]
    orders = {tuple(CocoSet(files.annotations, files.images, seed=seed).image_ids)
              for seed in range(8)}
    assert len(orders) > 3


def test_coco_categories_and_least_area(make_coco: MakeCoco) -> None:
    files = make_coco()
    cats = CocoSet(files.annotations, files.images, categories=['cat'], min_area=1000)
    assert sorted(cats.image_ids) == [1, 3]
    large, _ = objects_of(cats, 1)
    assert [each.category for each in large] == ['cat']
    none, left_out = objects_of(cats, 3)
    assert none == []
    assert [each.kind for each in left_out] == ['smaller than --min-area']


def test_what_is_wrong_with_an_object_is_named(make_coco: MakeCoco) -> None:
    files = make_coco()
    crowd, far_out, size, damaged, nothing, unknown, fine = files.document['annotations']
    crowd['iscrowd'] = 1
    far_out['segmentation'] = [[20, 30, 600, 30, 600, 50, 20, 50]]
    size['segmentation'] = {'size': [80, 100], 'counts': [10, 20, 7970]}
    damaged['segmentation'] = 'none'
    nothing['segmentation'] = {'size': [160, 200], 'counts': [160 * 200]}
    unknown['category_id'] = 99
    images = CocoSet(files.write().annotations, files.images)
    problems: dict[str, str] = {}
    for image_id in images.image_ids:
        objects, left_out = objects_of(images, image_id)
        problems |= {each.where: each.kind for each in left_out}
        assert [each.annotation_id for each in objects] == ([fine['id']] if image_id == 4 else [])
    assert problems == {
        '001.png, object 100': 'crowd', '001.png, object 101': 'mask does not fit',
        '002.png, object 102': 'mask does not fit', '003.png, object 103': 'mask unreadable',
        '003.png, object 104': 'mask empty', '004.png, object 105': 'category not described'}


def test_two_objects_with_the_same_id_are_two(make_coco: MakeCoco) -> None:
    files = make_coco()
    files.document['annotations'][1]['id'] = files.document['annotations'][0]['id']
    images = CocoSet(files.write().annotations, files.images)
    objects, _ = objects_of(images, 1)
    assert [each.category for each in objects] == ['cup', 'cat']


def test_what_is_wrong_with_a_picture_is_named(make_coco: MakeCoco) -> None:
    files = make_coco()
    (files.images / '001.png').unlink()
    (files.images / '002.png').write_bytes(b'no picture')
    files.document['images'][2]['width'] = 300
    del files.document['images'][3]
    images = CocoSet(files.write().annotations, files.images)
    kinds = {}
    for image_id in images.image_ids:
        with pytest.raises(UnusableError) as raised:
            images.read(image_id)
        kinds[image_id] = raised.value.problem.kind
    assert kinds == {1: 'image missing', 2: 'image unreadable', 3: 'image of another size',
                     4: 'image not described'}


@pytest.mark.parametrize(('content', 'message'), [
    (None, 'cannot be read'), ('{', 'no COCO instances file'), ('[]', 'no COCO instances file'),
    ('{}', 'no COCO instances file'),
    ('{"images": [], "annotations": [], "categories": []}', 'an empty one: 0 images')])
def test_files_that_are_no_set(
    tmp_path: Path, content: str | None, message: str,
) -> None:
    file = tmp_path / 'instances.json'
    if content is not None:
        file.write_text(content, encoding='utf-8')
    with pytest.raises(EvaluationError, match=message) as raised:
        CocoSet(file, tmp_path)
    assert str(file) in str(raised.value)


def test_ids_and_categories_that_nothing_can_be_made_of(make_coco: MakeCoco) -> None:
    files = make_coco()
    del files.document['categories'][0]['name']
    with pytest.raises(EvaluationError, match=r'category \d+ has no name'):
        CocoSet(files.write().annotations, files.images)
    files.document['categories'][0]['name'] = 'cup'
    files.document['annotations'][0]['image_id'] = 'one'
    with pytest.raises(EvaluationError, match='some ids of images are numbers, others are not'):
        CocoSet(files.write().annotations, files.images)


def test_folders_and_categories_that_are_not_there(make_coco: MakeCoco) -> None:
    files = make_coco()
    with pytest.raises(EvaluationError, match='no such folder'):
        CocoSet(files.annotations, files.images / 'none')
    with pytest.raises(EvaluationError, match='no category "dog"; there are: cat, cup, face'):
        CocoSet(files.annotations, files.images, categories=['dog'])


def test_davis_gives_the_masks_that_were_written(davis: Any) -> None:
    clips = DavisSet(davis.root)
    assert sorted(clips.clips) == ['apart', 'one']
    clip = clips.clip('apart')
    assert len(clip) == 8
    assert clip.image(0).shape == (160, 200, 3)
    for index, masks in enumerate(davis.masks['apart']):
        truth = clip.truth(index)
        assert truth is not None
        assert (truth == 2).sum() == masks[2].sum()
        assert ((truth == 1) == masks[1]).all()


def test_davis_objects_begin_where_they_are_large_enough(davis: Any) -> None:
    """The cup is there from the first frame, the cat from the third."""
    clips = DavisSet(davis.root)
    first = {each.object_id: each.first_frame for each in clips.objects(clips.clip('apart'))
             if isinstance(each, TrackedTruth)}
    assert first == {1: 0, 2: 2}
    clips = DavisSet(davis.root, min_area=4000)  # the cup has 4700 pixels, the cat 3400
    cup, cat = clips.objects(clips.clip('apart'))
    assert isinstance(cup, TrackedTruth)
    assert isinstance(cat, Problem)
    assert cat.kind == 'smaller than --min-area'


def test_davis_lists_and_limits(davis: Any, tmp_path: Path) -> None:
    names = tmp_path / 'val.txt'
    names.write_text('one\n', encoding='utf-8')
    assert DavisSet(davis.root, names).clips == ['one']
    assert len(DavisSet(davis.root, limit=1).clips) == 1
    with pytest.raises(EvaluationError, match='no such folder'):
        DavisSet(davis.root / 'JPEGImages')
    with pytest.raises(EvaluationError, match='cannot be read as a list'):
        DavisSet(davis.root, tmp_path / 'none.txt')


def test_what_is_wrong_with_a_clip_is_named(davis: Any) -> None:
    clips = DavisSet(davis.root)

    def kind_of() -> str:
        with pytest.raises(UnusableError) as raised:
            list(clips.objects(clips.clip('one')))
        return raised.value.problem.kind

    mask = davis.mask('one', 2)
    content = mask.read_bytes()
    mask.write_bytes(content[:60])
    assert kind_of() == 'mask unreadable'
    cv2.imwrite(str(mask), np.zeros((160, 200, 3), np.uint8))
    assert kind_of() == 'mask unreadable'  # colours, not ids
    cv2.imwrite(str(mask), np.zeros((80, 100), np.uint8))
    assert kind_of() == 'mask does not fit'
    mask.write_bytes(content)
    davis.frame('one', 2).unlink()
    assert kind_of() == 'mask without its frame'
    davis.frame('one', 0).write_bytes(b'')
    davis.mask('one', 2).unlink()
    assert kind_of() == 'frame unreadable'


def test_a_frame_of_another_size_is_named(davis: Any) -> None:
    cv2.imwrite(str(davis.frame('one', 3)), np.zeros((80, 100, 3), np.uint8))
    clip = DavisSet(davis.root).clip('one')
    clip.image(2)
    with pytest.raises(UnusableError, match='frame of another size: 100x80 pixels'):
        clip.image(3)


def test_degradation_is_as_strong_as_it_says_and_the_same_each_time() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = Degradation(noise=10.0).apply(grey, (1, 2))
    assert noisy.std() == pytest.approx(10.0, rel=0.02)
    assert noisy.mean() == pytest.approx(128.0, abs=0.2)
    assert (noisy == Degradation(noise=10.0).apply(grey, (1, 2))).all()
    assert (noisy != Degradation(noise=10.0).apply(grey, (1, 3))).any()
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    blurred = Degradation(blur=1.0).apply(point, (0,))
    # the middle of a Gaussian of sigma 1 in two dimensions: 1 / (2 pi)
    assert blurred[20, 20, 0] == pytest.approx(255 / (2 * np.pi), rel=0.03)
    assert (Degradation().apply(grey, (0,)) == grey).all()
