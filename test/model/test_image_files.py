# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs as cameras and programs write them, read as Pillow reads them."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from sam2_ros.model.errors import ImageError
from sam2_ros.model.image_files import read_mask, read_photo, write_palette_png, write_png


@pytest.fixture
def coffee(photos: Path) -> Image.Image:
    return Image.open(photos / 'coffee.png')


def test_reads_rgb_in_that_order(photos: Path, coffee: Image.Image) -> None:
    np.testing.assert_array_equal(read_photo(photos / 'coffee.png'), np.asarray(coffee))


@pytest.mark.parametrize('mode', ['L', '1', 'P', 'RGBA', 'LA'])
@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
def test_reads_every_mode_as_pillow_converts_it(
    coffee: Image.Image, tmp_path: Path, mode: str, suffix: str,
) -> None:
    picture = coffee.convert(mode)
    if mode in ('RGBA', 'LA'):
        # OpenCV multiplies the colours of a TIFF, and of nothing else, by its alpha.
        picture.putalpha(255 if suffix == '.tiff' else 128)
    file = tmp_path / f'photo{suffix}'
    picture.save(file)
    photo = read_photo(file)
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, np.asarray(picture.convert('RGB')))


@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
@pytest.mark.parametrize('grey', [False, True])
def test_reads_sixteen_bits(
    coffee: Image.Image, tmp_path: Path, suffix: str, grey: bool,
) -> None:
    pixels = np.asarray(coffee.convert('L') if grey else coffee)
    file = tmp_path / f'deep{suffix}'
    deep = pixels.astype(np.uint16) * 257
    cv2.imwrite(str(file), deep if grey else deep[..., ::-1])
    expected = np.stack([pixels] * 3, axis=-1) if grey else pixels
    np.testing.assert_array_equal(read_photo(file), expected)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_turns_upright_as_exif_says(
    coffee: Image.Image, tmp_path: Path, orientation: int,
) -> None:
    file = tmp_path / 'phone.jpg'
    exif = Image.Exif()
    exif[0x0112] = orientation
    coffee.save(file, quality=95, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(file)))
    photo = read_photo(file)
    assert photo.shape == expected.shape
    # Two JPEG decoders may round differently; a wrong turn differs by far more.
    assert np.abs(photo.astype(int) - expected).mean() < 1.0


@pytest.mark.parametrize('suffix', ['.jpg', '.webp', '.bmp', '.tiff'])
def test_reads_common_formats(coffee: Image.Image, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f'photo{suffix}'
    coffee.save(file)
    assert np.abs(read_photo(file).astype(int) - np.asarray(coffee)).mean() < 5.0


def test_paths_need_not_be_ascii(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / 'Küche 写真 ☕' / 'été.png'
    file.parent.mkdir()
    photo = read_photo(photos / 'coffee.png')
    write_png(file, photo)
    np.testing.assert_array_equal(read_photo(file), photo)


@pytest.mark.parametrize(('content', 'reason'), [
    (b'', 'not a picture'),
    (b'a text file', 'not a picture'),
    (b'\xff\xd8\xff\xe0 the beginning of a JPEG', 'not a picture'),
])
def test_what_is_no_picture(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / 'photo.jpg'
    file.write_bytes(content)
    with pytest.raises(ImageError, match=rf'photo\.jpg: {reason}'):
        read_photo(file)


def test_a_picture_whose_end_is_missing(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / 'cut.png'
    file.write_bytes((photos / 'coffee.png').read_bytes()[:200])
    with pytest.raises(ImageError, match=r'cut\.png: not a picture .* damaged'):
        read_photo(file)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r'nowhere\.png: cannot be read \(No such file'):
        read_photo(tmp_path / 'nowhere.png')
    with pytest.raises(ImageError, match=r'cannot be read \(Is a directory'):
        read_photo(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ImageError, match='cannot be written'):
        write_png(tmp_path / 'mask.png', np.zeros((4, 4), np.uint8))


def test_writing_where_no_folder_is(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r'mask\.png: cannot be written \(No such file'):
        write_png(tmp_path / 'nowhere' / 'mask.png', np.zeros((4, 4), np.uint8))


def test_a_mask_is_what_is_not_black(tmp_path: Path) -> None:
    file = tmp_path / 'mask.png'
    colours = np.zeros((3, 4, 3), np.uint8)
    colours[1, 2] = (0, 0, 7)
    write_png(file, colours)
    assert np.argwhere(read_mask(file, (3, 4))).tolist() == [[1, 2]]
    with pytest.raises(ImageError, match='the mask is 4x3, but the photo is 5x6'):
        read_mask(file, (6, 5))


@pytest.mark.parametrize('size', [(48, 64), (1, 1), (7, 301)])
def test_labels_are_numbers_in_a_palette_as_davis_has_them(
    tmp_path: Path, size: tuple[int, int],
) -> None:
    labels = np.random.default_rng(0).integers(0, 4, size, np.uint8)
    palette = [(0, 0, 0), (200, 10, 20), (30, 180, 40), (50, 60, 220)]
    write_palette_png(tmp_path / '00000.png', labels, palette)
    picture = Image.open(tmp_path / '00000.png')
    assert picture.mode == 'P'
    np.testing.assert_array_equal(np.asarray(picture), labels)
    np.testing.assert_array_equal(
        np.asarray(picture.convert('RGB')), np.array(palette, np.uint8)[labels])
    # a program that knows no palettes sees colours, and where the objects are
    np.testing.assert_array_equal(read_mask(tmp_path / '00000.png', size), labels > 0)


def test_labels_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r'labels.png: cannot be written \(No such file'):
        write_palette_png(
            tmp_path / 'nowhere' / 'labels.png', np.zeros((4, 4), np.uint8), [(0, 0, 0)])
