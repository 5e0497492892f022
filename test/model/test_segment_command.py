# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros segment`` on real photographs: the answers of the Python API, in files."""

from __future__ import annotations

import argparse
import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sam2_ros.model import segment_command
from sam2_ros.model.bundle import Bundle
from sam2_ros.model.errors import BundleError, ImageError, PromptError, ProviderError, Sam2RosError
from sam2_ros.model.image_files import read_photo
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.providers import available_providers
from sam2_ros.model.segmenter import Embedding, ImageSegmenter


def command(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    segment_command.add_arguments(parser)
    return segment_command.run(parser.parse_args([str(argument) for argument in arguments]))


class Workplace:
    """A photograph, a bundle, an output folder, and the API's answers to compare with."""

    def __init__(self, photo: Path, bundle: Path, output: Path, segmenter: ImageSegmenter) -> None:
        self.photo = photo
        self.bundle = bundle
        self.output = output
        self.segmenter = segmenter

    def segment(self, *arguments: str | Path) -> None:
        assert command(
            self.photo, '--bundle', self.bundle, '--provider', 'cpu', '--output', self.output,
            *arguments) == 0

    def failure(self, kind: type[Sam2RosError], *arguments: str | Path) -> str:
        """Run the command, which must fail and write nothing; return its one line."""
        with pytest.raises(kind) as caught:
            self.segment(*arguments)
        assert not self.output.exists()
        message = str(caught.value)
        assert '\n' not in message
        return message

    def embedding(self) -> Embedding:
        return self.segmenter.encode(read_photo(self.photo))

    def written(self) -> list[str]:
        return sorted(file.name for file in self.output.iterdir())

    def picture(self, name: str) -> npt.NDArray[np.uint8]:
        return np.asarray(Image.open(self.output / name))


@pytest.fixture(scope='module')
def segmenter(nano_bundle: Path) -> ImageSegmenter:
    return ImageSegmenter(Bundle.load(nano_bundle), 'cpu')


@pytest.fixture
def workplace(
    photos: Path, nano_bundle: Path, tmp_path: Path, segmenter: ImageSegmenter,
) -> Workplace:
    return Workplace(photos / 'rocket.jpg', nano_bundle, tmp_path / 'new' / 'output', segmenter)


def test_one_object_from_points(
    workplace: Workplace, capsys: pytest.CaptureFixture[str],
) -> None:
    workplace.segment('--point', '322,180', '--point', '330.5,250,1', '--point', '30,30,0')
    [answer] = workplace.segmenter.segment(workplace.embedding(), [
        Prompt(points=[(322, 180), (330.5, 250), (30, 30)], labels=[1, 1, 0])])
    mask = answer.mask()
    assert workplace.written() == ['rocket_object_1.png', 'rocket_overlay.png']
    written = workplace.picture('rocket_object_1.png')
    assert written.shape == (427, 640)
    assert mask.area > 0
    np.testing.assert_array_equal(written, mask.to_image())
    output = capsys.readouterr()
    row = next(line for line in output.out.splitlines() if line.endswith('rocket_object_1.png'))
    assert row.split()[:2] == ['1', f'{mask.iou_prediction:.3f}']
    assert ','.join(map(str, mask.box)) in row
    assert f' {mask.area} px ' in row
    assert re.search(
        r'^cpu: load \d+ ms, resize \d+ ms, encode \d+ ms, decode \d+ ms, upscale \d+ ms$',
        output.out, re.MULTILINE)
    assert 'random weights' in output.err


def test_the_overlay_shows_the_object_and_the_prompts(workplace: Workplace) -> None:
    workplace.segment('--point', '322,180', '--box', '280,60,360,380')
    overlay = workplace.picture('rocket_overlay.png')
    photo = read_photo(workplace.photo)
    changed = (overlay != photo).any(axis=2)
    on_object = workplace.picture('rocket_object_1.png') > 0
    assert changed[on_object].mean() > 0.95
    # The middle of the box's left edge is white, the point green, whatever the mask.
    assert overlay[220, 280].tolist() == [255, 255, 255]
    red, green, blue = overlay[180, 322].tolist()
    assert green > 200 > 50 > max(red, blue)


def test_each_object_option_begins_another_object(workplace: Workplace) -> None:
    workplace.segment(
        '--box', '280,60,360,380', '--point', '320,200',
        '--object', '--point', '100,380',
        '--object', '--box=-20,300,200,500')
    answers = workplace.segmenter.segment(workplace.embedding(), [
        Prompt(points=[(320, 200)], box=(280, 60, 360, 380)), Prompt(points=[(100, 380)]),
        Prompt(box=(-20, 300, 200, 500))])
    assert workplace.written() == [
        'rocket_object_1.png', 'rocket_object_2.png', 'rocket_object_3.png', 'rocket_overlay.png']
    for number, answer in enumerate(answers, 1):
        np.testing.assert_array_equal(
            workplace.picture(f'rocket_object_{number}.png'), answer.mask().to_image())


def test_an_object_option_may_also_stand_before_the_first(workplace: Workplace) -> None:
    workplace.segment('--object', '--point', '320,200', '--object', '--point', '100,380')
    assert 'rocket_object_2.png' in workplace.written()
    assert 'rocket_object_3.png' not in workplace.written()


def test_three_candidates_are_written_best_first(
    workplace: Workplace, capsys: pytest.CaptureFixture[str],
) -> None:
    workplace.segment('--box', '280,60,360,380', '--multimask', 'three')
    [answer] = workplace.segmenter.segment(
        workplace.embedding(), [Prompt(box=(280, 60, 360, 380))], multimask=True)
    order = np.argsort(-answer.iou_predictions)
    for candidate, index in enumerate(order, 1):
        np.testing.assert_array_equal(
            workplace.picture(f'rocket_object_1_candidate_{candidate}.png'),
            answer.mask(int(index)).to_image())
    rows = re.findall(r'^1\.(\d) +(\d\.\d+)', capsys.readouterr().out, re.MULTILINE)
    assert rows == [
        (str(candidate), f'{answer.iou_predictions[index]:.3f}')
        for candidate, index in enumerate(order, 1)]


@pytest.mark.parametrize(('choice', 'multimask'), [('auto', None), ('single', False)])
def test_one_mask_is_written_otherwise(
    workplace: Workplace, choice: str, multimask: bool | None,
) -> None:
    workplace.segment('--point', '322,180', '--multimask', choice)
    [answer] = workplace.segmenter.segment(
        workplace.embedding(), [Prompt(points=[(322, 180)])], multimask=multimask)
    np.testing.assert_array_equal(
        workplace.picture('rocket_object_1.png'), answer.mask().to_image())


def test_logits_of_one_run_refine_the_next(workplace: Workplace) -> None:
    workplace.segment('--point', '322,180', '--logits')
    logits_file = workplace.output / 'rocket_object_1_logits.npy'
    [first] = workplace.segmenter.segment(
        workplace.embedding(), [Prompt(points=[(322, 180)])])
    np.testing.assert_array_equal(np.load(logits_file), first.logits[first.best])
    workplace.segment('--point', '322,180', '--point', '30,30,0', '--mask', logits_file)
    [second] = workplace.segmenter.segment(workplace.embedding(), [Prompt(
        points=[(322, 180), (30, 30)], labels=[1, 0], mask=first.logits[first.best])])
    np.testing.assert_array_equal(
        workplace.picture('rocket_object_1.png'), second.mask().to_image())


def test_a_mask_picture_alone_is_a_prompt(workplace: Workplace, tmp_path: Path) -> None:
    rough = np.zeros((427, 640), np.uint8)
    rough[60:380, 290:350] = 255
    Image.fromarray(rough).save(tmp_path / 'rough.png')
    workplace.segment('--mask', tmp_path / 'rough.png')
    assert workplace.picture('rocket_object_1.png').shape == (427, 640)


def test_coordinates_are_those_of_the_upright_photo(
    workplace: Workplace, tmp_path: Path, photos: Path,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: 427 wide, 640 high
    workplace.photo = tmp_path / 'phone.jpg'
    Image.open(photos / 'rocket.jpg').save(workplace.photo, exif=exif)
    workplace.segment('--point', '200,600')
    assert workplace.picture('phone_object_1.png').shape == (640, 427)
    shutil.rmtree(workplace.output)
    assert '(600, 200) lies outside the 427x640 image' in workplace.failure(
        PromptError, '--point', '600,200')


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P'])
def test_grey_transparent_and_palette_photos(
    workplace: Workplace, tmp_path: Path, photos: Path, mode: str,
) -> None:
    workplace.photo = tmp_path / 'photo.png'
    Image.open(photos / 'coffee.png').convert(mode).save(workplace.photo)
    workplace.segment('--point', '300,200')
    assert workplace.picture('photo_overlay.png').shape == (400, 600, 3)


def test_paths_need_not_be_ascii(workplace: Workplace, tmp_path: Path, photos: Path) -> None:
    workplace.photo = Path(shutil.copy(photos / 'coffee.png', tmp_path / 'Kaffee コーヒー ☕.png'))
    workplace.output = tmp_path / 'résultats'
    workplace.segment('--point', '300,200')
    assert workplace.written() == [
        'Kaffee コーヒー ☕_object_1.png', 'Kaffee コーヒー ☕_overlay.png']


def test_an_object_that_is_not_found_gets_a_black_mask(
    workplace: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    # No logit of the model reaches this threshold.
    workplace.bundle = Path(shutil.copytree(workplace.bundle, tmp_path / 'strict'))
    manifest = json.loads((workplace.bundle / 'manifest.json').read_text())
    manifest['constants']['mask_threshold'] = 1e6
    (workplace.bundle / 'manifest.json').write_text(json.dumps(manifest))
    workplace.segment('--point', '322,180')
    assert not workplace.picture('rocket_object_1.png').any()
    assert 'nothing found' in capsys.readouterr().out


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'nothing to segment; give --point'),
    (['--object'], 'nothing to segment; give --point'),
    (['--point', '640,10'], r'object 1: point \(640, 10\) lies outside the 640x427 image'),
    (['--point=-1,10'], r'object 1: point \(-1, 10\) lies outside'),
    (['--point', 'nan,10'], 'object 1: points holds a number that is not finite'),
    (['--box', '700,10,800,20'], r'object 1: box \(700, 10, 800, 20\) lies outside'),
    (['--box', '20,10,20,30'], 'object 1: box .* has no area'),
    (['--point', '1,1', '--object', '--point', '900,1'], r'object 2: point \(900, 1\)'),
    (['--point', '1,1', '--object'], 'object 2: the prompt is empty'),
    (['--point', '1,1', '--object', '--object', '--point', '2,2'], 'object 2: the prompt is empty'),
    (['--box', '0,0,9,9', '--box', '5,5,9,9'], 'object 1: it has 2 boxes, .* --object begins'),
])
def test_prompts_that_make_no_sense(
    workplace: Workplace, arguments: list[str], message: str,
) -> None:
    assert re.match(message, workplace.failure(PromptError, *arguments))


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--point', '1'], '"1" is not of the form X,Y or X,Y,LABEL'),
    (['--point', '1,2,3,4'], 'is not of the form X,Y or X,Y,LABEL'),
    (['--point', 'left,top'], '"left,top" is not of the form'),
    (['--point', '1,2,2'], 'the label in "1,2,2" is neither 1 (on the object) nor 0 (beside it)'),
    (['--box', '1,2,3'], '"1,2,3" is not of the form X0,Y0,X1,Y1'),
    (['--multimask', 'many'], 'invalid choice'),
    (['--provider', 'abacus'], 'invalid choice'),
])
def test_arguments_of_the_wrong_form(
    workplace: Workplace, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str,
) -> None:
    with pytest.raises(SystemExit) as caught:
        workplace.segment(*arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_photos_that_cannot_be_read(workplace: Workplace, tmp_path: Path) -> None:
    workplace.photo = tmp_path / 'nowhere.jpg'
    assert 'nowhere.jpg: cannot be read (No such file' in workplace.failure(
        ImageError, '--point', '1,1')
    workplace.photo = tmp_path / 'text.jpg'
    workplace.photo.write_text('a text')
    assert 'text.jpg: not a picture' in workplace.failure(ImageError, '--point', '1,1')


def test_masks_that_cannot_be_used(
    workplace: Workplace, tmp_path: Path, photos: Path,
) -> None:
    np.save(tmp_path / 'large.npy', np.zeros((256, 256), np.float32))
    np.save(tmp_path / 'nan.npy', np.full((64, 64), np.nan, np.float32))
    (tmp_path / 'empty.npy').write_bytes(b'')
    (tmp_path / 'evil.npy').write_bytes(pickle.dumps({'a': 1}))
    for file, kind, message in (
        (photos / 'coffee.png', ImageError, 'the mask is 600x400, but the photo is 640x427'),
        (tmp_path / 'large.npy', ImageError, 'logits of shape [256, 256], .* takes [64, 64]'),
        (tmp_path / 'nan.npy', ImageError, 'nan.npy: holds more than finite floating-point'),
        (tmp_path / 'empty.npy', ImageError, 'empty.npy: cannot be read as logits'),
        (tmp_path / 'evil.npy', ImageError, 'evil.npy: cannot be read as logits'),
        (tmp_path / 'nowhere.npy', ImageError, 'nowhere.npy: cannot be read as logits'),
        (tmp_path / 'nowhere.png', ImageError, 'nowhere.png: cannot be read'),
    ):
        found = workplace.failure(kind, '--mask', file)
        assert re.search(message.replace('[', r'\['), found), found


def test_a_folder_that_cannot_be_written_to(workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    workplace.output = tmp_path / 'file' / 'folder'
    with pytest.raises(ImageError, match=r'folder: cannot be written to \(Not a directory'):
        workplace.segment('--point', '1,1')


def test_a_missing_bundle(workplace: Workplace, tmp_path: Path) -> None:
    workplace.bundle = tmp_path / 'nowhere'
    assert 'nowhere: the bundle does not exist' in workplace.failure(
        BundleError, '--point', '1,1')


def test_a_provider_that_is_not_installed(workplace: Workplace) -> None:
    missing = [name for name in ('openvino', 'cuda') if name not in available_providers()]
    if not missing:
        pytest.skip('this ONNX Runtime has every provider')
    message = workplace.failure(ProviderError, '--point', '1,1', '--provider', missing[0])
    assert f'provider "{missing[0]}"' in message
    assert 'install onnxruntime-' in message
