# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros evaluate`` as people run it, on small sets with exact masks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip('matplotlib', reason='no matplotlib here: nothing can be evaluated')
pytest.importorskip('pycocotools', reason='no pycocotools here: nothing can be evaluated')
pytest.importorskip('PIL', reason='no Pillow here: nothing can be evaluated')
pytest.importorskip('tqdm', reason='no tqdm here: nothing can be evaluated')

from pycocotools import mask as coco_mask

from sam2_ros import cli
from sam2_ros.evaluate.evaluation import BOX_PLOT_FILE, GRID_FILE
from sam2_ros.evaluate.image_evaluation import ImageEvaluation
from sam2_ros.evaluate.result_folder import (
    FIGURES_FILE,
    RECORDS_FILE,
    REPORT_FILE,
    SETTINGS_FILE,
)

#: What the project asks of final masks beside the official predictor's.
LEAST_IOU = 0.999
#: Of logits within +-32: what the project asks of fp32 graphs on photographs that are resized here.
LOGIT_TOLERANCE = 32 * 1e-3

MakeCoco = Callable[[], Any]


@dataclass(frozen=True)
class Results:
    """What an evaluation left in its folder, and the exit status it ended with."""

    status: int
    folder: Path

    @property
    def records(self) -> list[Any]:
        """The raw results."""
        lines = (self.folder / RECORDS_FILE).read_text(encoding='utf-8').splitlines()
        return [json.loads(line) for line in lines]

    @property
    def objects(self) -> list[Any]:
        """The raw results of all objects."""
        return [each for record in self.records for each in record['objects']]

    @property
    def figures(self) -> Any:
        """What is said of all objects together."""
        return json.loads((self.folder / FIGURES_FILE).read_text(encoding='utf-8'))

    @property
    def report(self) -> str:
        return (self.folder / REPORT_FILE).read_text(encoding='utf-8')


def evaluate(folder: Path, *arguments: object) -> Results:
    """Run the command."""
    status = cli.main(['evaluate', *map(str, arguments), '--output', str(folder), '--threads', '1'])
    return Results(status, folder)


def coco_arguments(files: Any) -> list[object]:
    return ['--coco', files.annotations, '--images', files.images]


@pytest.fixture
def copy_of_bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """Return another folder with the same bundle."""
    return Path(shutil.copytree(trained_bundle, tmp_path / 'other' / trained_bundle.name))


def decoded(runs: Any) -> Any:
    """Return the mask [H, W] of what a record has, without the code that made it."""
    return np.asarray(coco_mask.decode(runs), np.bool_)


def plain_iou(first: Any, second: Any) -> float:
    return float((first & second).sum() / (first | second).sum())


def test_equal_bundles_agree_and_the_official_predictor_agrees_with_them(
    can_export: None, make_coco: MakeCoco, trained_bundle: Path, copy_of_bundle: Path,
    tmp_path: Path,
) -> None:
    from sam2_ros.export.options import SHIPPED_CHECKPOINT

    files = make_coco()
    results = evaluate(
        tmp_path / 'out', trained_bundle, copy_of_bundle, '--pytorch', SHIPPED_CHECKPOINT,
        '--clicks', 3, '--keep-masks', *coco_arguments(files))
    assert results.status == 0
    first, second = trained_bundle.name, f'{trained_bundle.name} (2)'
    assert len(results.objects) == len(files.masks)
    for each in results.objects:
        assert set(each['answers']) == {first, second, 'pytorch', 'GrabCut'}
        truth = decoded(each['mask'])
        assert (truth == files.masks[each['annotation']]).all()
        for answers in each['answers'].values():
            for answer in answers.values():
                assert answer['iou'] == pytest.approx(plain_iou(decoded(answer['mask']), truth))
        # the same bundle twice: the same masks, to the last pixel, also after clicks on them
        for prompt, answer in each['answers'][first].items():
            assert each['answers'][second][prompt] == answer
        for parity in (each['parity'][first], each['parity'][second]):
            assert set(parity) == set(each['prompts'])
            for prompt, agreement in parity.items():
                # small errors of a pixel weigh much in small objects
                assert agreement['iou'] >= LEAST_IOU, prompt
                assert not agreement['selection_flip']
                assert 0 <= agreement['logit_difference'] <= LOGIT_TOLERANCE
    check_figures(results)
    for file in (BOX_PLOT_FILE, GRID_FILE):
        assert cv2.imread(str(results.folder / file)) is not None
    assert 'Agreement with pytorch' in results.report


def check_figures(results: Results) -> None:
    """Compute means, medians and sizes again, from the raw results."""
    ious: dict[tuple[str, str], list[float]] = {}
    small: dict[tuple[str, str], list[float]] = {}
    for each in results.objects:
        for who, answers in each['answers'].items():
            for prompt, answer in answers.items():
                ious.setdefault((prompt, who), []).append(answer['iou'])
                if each['area'] < 32 * 32:
                    small.setdefault((prompt, who), []).append(answer['iou'])
    figures = results.figures['figures']
    assert figures['objects']['all'] == len(results.objects)
    told = {(prompt, who): values for prompt, theirs in figures['iou'].items()
            for who, values in theirs.items()}
    assert set(told) == set(ious)
    for key, values in ious.items():
        assert told[key]['objects'] == len(values)
        assert told[key]['mean'] == pytest.approx(np.mean(values))
        assert told[key]['median'] == pytest.approx(np.median(values))
        assert told[key]['small']['objects'] == len(small[key]) == 2
        assert told[key]['small']['mean'] == pytest.approx(np.mean(small[key]))


def test_two_equal_bundles(
    make_coco: MakeCoco, trained_bundle: Path, copy_of_bundle: Path, tmp_path: Path,
) -> None:
    results = evaluate(tmp_path / 'out', trained_bundle, copy_of_bundle, '--prompts',
                       'centre,3-points,box', '--clicks', 0, *coco_arguments(make_coco()))
    second = f'{trained_bundle.name} (2)'
    assert results.figures['reference'] == trained_bundle.name
    for prompt in ('centre', '3-points', 'box'):
        assert results.figures['figures']['parity'][second][prompt] == {
            'objects': 7, 'mean_iou': 1.0, 'least_iou': 1.0, 'share_same': 1.0,
            'selection_flips': 0, 'largest_logit_difference': 0.0}


def test_ctrl_c_and_a_kill_keep_what_is_done(
    make_coco: MakeCoco, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ['--prompts', '1-point', '--clicks', 0, '--no-grabcut',
                 '--noise', 5, *coco_arguments(make_coco())]
    whole = evaluate(tmp_path / 'whole', *arguments)
    assert list(whole.figures['settings']['bundles']) == ['sam2_nano']  # none was named
    answered = 0
    plain = ImageEvaluation.evaluate

    def interrupted(self: ImageEvaluation, key: str, draw: bool) -> Any:
        nonlocal answered
        if answered == 2:
            raise KeyboardInterrupt
        answered += 1
        return plain(self, key, draw)

    with monkeypatch.context() as patch:
        patch.setattr(ImageEvaluation, 'evaluate', interrupted)
        results = evaluate(tmp_path / 'out', *arguments)
    assert results.status == 130
    assert '2 of 4 images are done and kept; the same command with --resume goes on' in (
        capsys.readouterr().err)
    assert 'INCOMPLETE: 2 of 4' in results.report
    assert results.records == whole.records[:2]

    # A kill in the middle of a line.
    with (results.folder / RECORDS_FILE).open('a', encoding='utf-8') as file:
        file.write('{"key": "3", "ima')
    assert evaluate(results.folder, *arguments).status == 1
    assert 'holds results already' in capsys.readouterr().err
    assert evaluate(results.folder, *arguments, '--seed', 3, '--resume').status == 1
    assert 'was begun with other settings: seed was 0 and is 3 now' in capsys.readouterr().err
    assert evaluate(results.folder, *arguments, '--resume').status == 0
    assert results.records == whole.records
    assert results.figures['figures'] == whole.figures['figures']
    assert 'INCOMPLETE' not in results.report
    assert evaluate(results.folder, *arguments, '--resume').status == 0  # nothing is left to do
    assert results.records == whole.records

    (results.folder / SETTINGS_FILE).unlink()
    assert evaluate(results.folder, *arguments, '--resume').status == 1
    assert 'settings.json: missing or damaged' in capsys.readouterr().err


def test_what_is_wrong_is_named_and_counted(
    make_coco: MakeCoco, trained_bundle: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = make_coco()
    (files.images / '002.png').unlink()
    files.document['annotations'][0]['iscrowd'] = 1
    files.document['annotations'][1]['iscrowd'] = 1
    arguments = [
        trained_bundle, '--prompts', 'box', '--clicks', 0, *coco_arguments(files.write())]
    results = evaluate(tmp_path / 'out', *arguments)
    assert results.status == 0
    assert 'sam2-ros: 3 left out: 2 crowd, 1 image missing' in capsys.readouterr().err
    assert results.figures['figures']['objects']['all'] == 4
    assert results.figures['figures']['problems']['crowd']['count'] == 2
    for line in ('- crowd: 2, such as 001.png, object 100', '- image missing: 1, such as 002.png'):
        assert line in results.report

    for each in files.document['annotations']:
        each['iscrowd'] = 1
    files.write()
    nothing = evaluate(tmp_path / 'nothing', *arguments)
    assert nothing.status == 1
    assert 'nothing could be evaluated; the report says why' in capsys.readouterr().err
    assert '- crowd: 6' in nothing.report


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'name a set: either --coco with --images, or --davis'),
    (['--coco', 'a', '--davis', 'b'], 'name a set: either'),
    (['--coco', 'a'], '--coco needs the folder of its pictures: --images'),
    (['--davis', 'a', '--category', 'cup'], '--images and --category belong to --coco'),
    (['--coco', 'a', '--images', 'b', '--clips', 'c'], '--clips belongs to --davis'),
    (['--coco', 'a', '--images', 'b', '--prompts', 'centre,mask'],
     'no prompt "mask" for this kind of set; there are: 1-point'),
    (['--coco', 'none.json', '--images', '.'], 'none.json: cannot be read (No such file'),
    (['--davis', 'none'], 'JPEGImages: no such folder'),
    (['--davis', 'a', '--pytorch', 'none.pt'], 'none.pt: no such file'),
    (['--davis', 'a', '--pytorch', __file__], 'none of the bundles was exported from it')])
def test_wrong_arguments(
    trained_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:
    assert evaluate(tmp_path / 'out', trained_bundle, *arguments).status == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith('sam2-ros: ')
    assert error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('option', 'value'), [
    ('--limit', '0'), ('--seed', '-1'), ('--blur', '-1'), ('--noise', 'nan'), ('--min-area', 'x')])
def test_wrong_values(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(['evaluate', 'bundle', f'{option}={value}'])
    assert ended.value.code == 2
    assert f'argument {option}: "{value}" is no' in capsys.readouterr().err


def test_tracks_beside_the_official_video_predictor(
    can_export: None, davis: Any, trained_bundle: Path, tmp_path: Path,
) -> None:
    from sam2_ros.export.options import SHIPPED_CHECKPOINT

    results = evaluate(
        tmp_path / 'out', trained_bundle, '--pytorch', SHIPPED_CHECKPOINT, '--davis', davis.root,
        '--prompts', 'box', '--keep-masks')
    assert results.status == 0
    ours = trained_bundle.name
    both, j_and_f = [], {}
    for record in results.records:
        for each in record['objects']:
            assert min(each['parity'][ours]) >= LEAST_IOU
            answers = each['answers'][ours]
            for position, frame in enumerate(each['frames']):
                truth = davis.masks[record['clip']][frame][each['object']]
                assert each['absent'][position] == (not truth.any())
                mask = decoded(answers['masks'][position])
                assert answers['said_absent'][position] == (not mask.any())
                if truth.any() or mask.any():
                    assert answers['j'][position] == pytest.approx(plain_iou(mask, truth))
            both.append((np.mean(answers['j']) + np.mean(answers['f'])) / 2)
            j_and_f[record['clip'], each['object']] = both[-1]
    assert set(j_and_f) == {('apart', 1), ('apart', 2), ('one', 1)}
    figures = results.figures['figures']['tracks']['box'][ours]
    assert figures['j_and_f'] == pytest.approx(np.mean(both))
    assert figures['by_clip']['one']['j_and_f'] == pytest.approx(j_and_f['one', 1])
    assert (figures['absent_frames'], figures['present_frames']) == (2, 11)
    assert 'absent frames said absent' in results.report
    assert cv2.imread(str(results.folder / GRID_FILE)) is not None
