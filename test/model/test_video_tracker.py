# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker gives the answers of the official video predictor on the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import torch
from sam2.build_sam import build_sam2_video_predictor
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_video_predictor import SAM2VideoPredictor
from skimage.measure import label
from torch.nn.functional import interpolate

from sam2_ros.export.configs import MEAN, STD, random_model
from sam2_ros.export.exporter import ExportOptions, export_bundle
from sam2_ros.model import Bundle, Prompt, TrackedObject, TrackingOptions, VideoTracker
from sam2_ros.model.image_files import read_photo

#: What the project asks of every object on every frame.
LEAST_IOU = 0.999
#: Of object scores, which are a few units here; they come after all that a frame computes.
SCORE_TOLERANCE = 1e-2
FRAMES = 24

Image = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]


# The official predictor

class Official:
    """``SAM2VideoPredictor`` on frames that are given instead of read, and prompted on the way."""

    def __init__(self, model: SAM2Base, frames: Sequence[Image]) -> None:
        self.predictor = video_predictor(model)
        self.frames = frames
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr('sam2.sam2_video_predictor.load_video_frames', lambda **_: (
                torch.cat([as_tensor(frame, model.image_size) for frame in frames]),
                *frames[0].shape[:2]))
            self.state: dict[str, Any] = self.predictor.init_state('frames')
        # A stream has no length; in a short video fewer object pointers would be attended to.
        self.state['num_frames'] = 10**6

    def step(self, frame: int) -> dict[int, Masks]:
        """Return the masks [H, W] of all objects on a frame, tracked."""
        [(_, object_ids, masks)] = self.predictor.propagate_in_video(
            self.state, start_frame_idx=frame, max_frame_num_to_track=0)
        return self._named(object_ids, masks)

    def prompt(self, frame: int, object_id: int, prompt: Prompt, first: bool) -> Masks:
        """Return the mask of an object after a prompt, ``first`` on this frame or another one."""
        _, object_ids, masks = self.predictor.add_new_points_or_box(
            self.state, frame, object_id, clear_old_points=first,
            points=prompt.points.astype(np.float32), labels=prompt.labels,
            box=None if prompt.box is None else prompt.box.astype(np.float32))
        return self._named(object_ids, masks)[object_id]

    def prompt_with_mask(self, frame: int, object_id: int, mask: Masks) -> Masks:
        _, object_ids, masks = self.predictor.add_new_mask(self.state, frame, object_id, mask)
        return self._named(object_ids, masks)[object_id]

    def remove(self, object_id: int) -> None:
        self.predictor.remove_object(self.state, object_id, strict=True)

    def score(self, frame: int, object_id: int) -> float:
        """Return the object score on a frame that has been tracked or prompted."""
        index = self.state['obj_id_to_idx'][object_id]
        for outputs in (self.state['temp_output_dict_per_obj'], self.state['output_dict_per_obj']):
            for kind in ('cond_frame_outputs', 'non_cond_frame_outputs'):
                if frame in outputs[index][kind]:
                    return float(outputs[index][kind][frame]['object_score_logits'])
        raise AssertionError(f'no output of object {object_id} on frame {frame}')

    @staticmethod
    def _named(object_ids: Sequence[int], masks: torch.Tensor) -> dict[int, Masks]:
        return dict(zip(object_ids, (masks[:, 0] > 0).numpy(), strict=True))


def video_predictor(model: SAM2Base) -> Any:
    """Return the predictor of ``build_sam2_video_predictor`` with the modules of ``model``."""
    predictor = SAM2VideoPredictor.__new__(SAM2VideoPredictor)
    predictor.__dict__.update(model.__dict__, _parameters=dict(model._parameters))
    predictor.binarize_mask_from_pts_for_mem_enc = True
    predictor.fill_hole_area = 8
    predictor.non_overlap_masks = False
    predictor.clear_non_cond_mem_around_input = False
    predictor.add_all_frames_to_correct_as_cond = False
    return predictor


def as_tensor(image: Image, size: int) -> torch.Tensor:
    """Normalise a frame and stretch it as ``image_resize`` does: [1, 3, size, size]."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float()[None] / 255
    if image.shape[:2] != (size, size):
        pixels = interpolate(pixels, (size, size), mode='bilinear', antialias=True)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    return (pixels - mean) / std


def connected_components(background: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Stand in for ``sam2.utils.misc.get_connected_components``, which needs a GPU."""
    labels = np.stack([label(each[0].numpy(), connectivity=2)[None] for each in background])
    areas = np.stack([np.bincount(each.ravel())[each] for each in labels])
    return torch.from_numpy(labels), torch.from_numpy(np.where(labels > 0, areas, 0))


@pytest.fixture(autouse=True)
def holes_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('sam2.utils.misc.get_connected_components', connected_components)


def test_the_reference_is_the_official_predictor() -> None:
    """All its settings are those that sam2 builds it with."""
    official = build_sam2_video_predictor(
        'configs/sam2.1/sam2.1_hiera_t.yaml', None, 'cpu')
    reference = video_predictor(random_model('sam2.1_tiny'))
    plain = (bool, int, float, str, type(None))
    settings = {name: value for name, value in vars(official).items() if isinstance(value, plain)}
    assert len(settings) > 25
    assert {name: getattr(reference, name) for name in settings} == settings
    decoder = {name: value for name, value in vars(official.sam_mask_decoder).items()
               if isinstance(value, plain)}
    assert {name: getattr(reference.sam_mask_decoder, name) for name in decoder} == decoder


# Weights and frames

@dataclass(frozen=True)
class Weights:
    """A bundle and the model it was made of."""

    bundle: Bundle
    model: SAM2Base

    def both(self, frames: Sequence[Image], **options: Any) -> Both:
        return Both(VideoTracker(self.bundle, 'cpu', tracking=TrackingOptions(**options)),
                    Official(self.model, frames), frames)


SMALL_MODEL = 'sam2_nano 256'
#: Configurations by name: model, image size. SAM 2.0 has no temporal encoding of pointers.
MODELS: dict[str, tuple[str, int]] = {
    SMALL_MODEL: ('sam2_nano', 256),
    'sam2.1_tiny 128': ('sam2.1_tiny', 128),
    'sam2_tiny 128': ('sam2_tiny', 128),
}


def expressive_model(name: str, size: int, score_bias: float) -> SAM2Base:
    """
    Return random weights whose answers depend on memories and images as much as trained ones do.

    Those of plain random weights hardly differ from frame to frame: scores and predicted IoUs by
    hundredths, and memory attention adds next to nothing. That would hide a wrong choice.
    """
    model = random_model(name, size, seed=3)
    with torch.no_grad():
        decoder = model.sam_mask_decoder
        for head, factor in ((decoder.pred_obj_score_head, 300), (decoder.iou_prediction_head, 30)):
            last = head.layers[-1] if hasattr(head, 'layers') else head
            last.weight.mul_(factor)
        last = decoder.pred_obj_score_head
        last = last.layers[-1] if hasattr(last, 'layers') else last
        last.bias.fill_(score_bias)
        for layer in model.memory_attention.layers:
            layer.cross_attn_image.q_proj.weight.mul_(4)
            layer.cross_attn_image.k_proj.weight.mul_(4)
            layer.cross_attn_image.out_proj.weight.mul_(20)
        model.maskmem_tpos_enc.mul_(20)
    return model


def make(name: str, score_bias: float, folder: Path) -> Weights:
    model, size = MODELS[name]
    return exported(expressive_model(model, size, score_bias), model, size, folder)


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Return a small model that sees its objects on all frames."""
    return make(SMALL_MODEL, 20.0, tmp_path_factory.mktemp('weights'))


@pytest.fixture(scope='module')
def doubtful_weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Return a small model that loses sight of objects and finds them again."""
    return make(SMALL_MODEL, 1.0, tmp_path_factory.mktemp('doubtful_weights'))


def exported(model: SAM2Base, name: str, size: int, folder: Path) -> Weights:
    torch.save({'model': model.state_dict()}, folder / 'weights.pt')
    bundle = export_bundle(ExportOptions(
        model=name, image_size=size, checkpoint=folder / 'weights.pt', output=folder / 'bundle'))
    return Weights(bundle, model)


def moving_scene(photos: Path, size: tuple[int, int], frames: int = FRAMES) -> list[Image]:
    """Return a camera that moves over a photograph, in which two cut-outs of others move."""
    height, width = size
    background = read_photo(photos / 'coffee.png')
    objects = [(read_photo(photos / 'chelsea.png')[60:220, 140:330], 0.30),
               (read_photo(photos / 'astronaut.png')[0:190, 130:310], 0.35)]
    scene = []
    for time in np.linspace(0, 1, frames):
        x, y = int(180 * time), int(90 * time)
        image = resize(background[y:y + 300, x:x + 400], width, height)
        for index, (picture, scale) in enumerate(objects):
            side = int(scale * height)
            phase = 2 * np.pi * (time + index / 2)
            paste(image, resize(picture, side, side),
                  (0.5 + 0.3 * np.cos(phase)) * width, (0.5 + 0.25 * np.sin(phase)) * height)
        scene.append(image)
    return scene


def resize(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height)), np.uint8)


def paste(image: Image, picture: Image, x: float, y: float) -> None:
    """Draw an elliptic cut-out of ``picture`` around (x, y)."""
    side = len(picture)
    cut = np.zeros((side, side), np.uint8)
    cv2.ellipse(cut, ((side / 2, side / 2), (side * 0.9, side * 0.8), 0), 255, -1)
    left, top = int(x - side / 2), int(y - side / 2)
    rows = slice(max(top, 0), min(top + side, image.shape[0]))
    columns = slice(max(left, 0), min(left + side, image.shape[1]))
    part = (slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left))
    image[rows, columns][cut[part] > 0] = picture[part][cut[part] > 0]


@pytest.fixture(scope='module')
def frames(photos: Path) -> list[Image]:
    """Return frames of the small model's own size, so that nothing is resized."""
    return moving_scene(photos, (256, 256))


# Both at once

@dataclass
class Both:
    """The tracker and the official predictor, told the same; every answer is compared."""

    tracker: VideoTracker
    official: Official
    frames: Sequence[Image]
    #: Of every answer: its object, whether the official score is positive, its part of the image.
    told: list[tuple[int, bool, float]] = field(default_factory=list)

    def run(self, prompts: dict[int, list[Act]]) -> None:
        """Go through the frames; after each do what is listed for it."""
        for index, frame in enumerate(self.frames):
            found = self.tracker.step(frame, stamp=float(index))
            assert self.tracker.frame == index
            assert [answer.object_id for answer in found] == self.tracker.object_ids
            if found:
                expected = self.official.step(index)
                assert list(expected) == self.tracker.object_ids
                for answer in found:
                    self.compare(answer, index, expected[answer.object_id])
            for act in prompts.get(index, []):
                act(self, index)

    def compare(self, answer: TrackedObject, frame: int, expected: Masks) -> None:
        assert answer.frame == frame
        mask = answer.mask.to_image() > 0
        assert mask.shape == expected.shape
        assert iou(mask, expected) >= LEAST_IOU, (answer.object_id, frame)
        score = self.official.score(frame, answer.object_id)
        assert answer.mask.object_score == pytest.approx(score, abs=SCORE_TOLERANCE)
        self.told.append((answer.object_id, score > 0, float(mask.mean())))

    def compare_all(
        self, answers: Sequence[TrackedObject], frame: int, expected: Sequence[Masks],
    ) -> None:
        """Compare answers on ``frame`` and the frames after it."""
        for later, (answer, mask) in enumerate(zip(answers, expected, strict=True), frame):
            self.compare(answer, later, mask)

    def assert_telling(self) -> None:
        """Masks that are all empty or all full would be alike whatever was wrong."""
        areas = [area for _, seen, area in self.told if seen]
        assert len(areas) > 0.8 * len(self.told)
        assert all(0.01 < area < 0.99 for area in areas), areas


Act = Callable[[Both, int], None]


def add(object_id: int, prompt: Prompt, back: int = 0) -> Act:
    """Begin an object ``back`` frames before the newest."""
    def act(both: Both, newest: int) -> None:
        frame = newest - back
        expected = [both.official.prompt(frame, object_id, prompt, first=True)]
        expected += [both.official.step(later)[object_id] for later in range(frame + 1, newest + 1)]
        found = both.tracker.add(object_id, prompt, frame=frame if back else None)
        both.compare_all(found, frame, expected)
    return act


def add_mask(object_id: int, mask: Masks, back: int = 0) -> Act:
    def act(both: Both, newest: int) -> None:
        frame = newest - back
        expected = [both.official.prompt_with_mask(frame, object_id, mask)]
        expected += [both.official.step(later)[object_id] for later in range(frame + 1, newest + 1)]
        found = both.tracker.add_mask(object_id, mask, frame=frame if back else None)
        both.compare_all(found, frame, expected)
    return act


def refine(object_id: int, prompt: Prompt, first: bool = False, back: int = 0) -> Act:
    """Say more of an object; ``first``: nothing has been said of it on that frame."""
    def act(both: Both, newest: int) -> None:
        frame = newest - back
        expected = [both.official.prompt(frame, object_id, prompt, first)]
        # From the next frame on: from this one, it would track it as if nobody had corrected it.
        expected += [both.official.step(later)[object_id] for later in range(frame + 1, newest + 1)]
        found = both.tracker.refine(object_id, prompt, frame=frame if back else None)
        both.compare_all(found, frame, expected)
    return act


def remove(object_id: int) -> Act:
    def act(both: Both, newest: int) -> None:
        both.official.remove(object_id)
        both.tracker.remove(object_id)
    return act


def iou(one: Masks, other: Masks) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def click(image: Image, x: float, y: float, label: int = 1) -> Prompt:
    """Return a click at parts 0..1 of the width and the height."""
    return Prompt(points=[(x * image.shape[1], y * image.shape[0])], labels=[label])


def box(image: Image, *parts: float) -> Prompt:
    height, width = image.shape[:2]
    return Prompt(box=np.array(parts) * [width, height, width, height])


# Parity

def three_objects(frame: Image) -> list[Act]:
    return [add(1, click(frame, 0.8, 0.5)), add(2, click(frame, 0.2, 0.5)),
            add(7, box(frame, 0.3, 0.2, 0.7, 0.8))]


def test_one_object(weights: Weights, frames: list[Image]) -> None:
    both = weights.both(frames)
    both.run({0: [add(1, click(frames[0], 0.8, 0.5))]})
    assert len(both.told) == FRAMES
    both.assert_telling()


@pytest.mark.parametrize('name', MODELS)
def test_objects_that_come_are_corrected_and_go(
    name: str, weights: Weights, photos: Path, tmp_path: Path,
) -> None:
    side = MODELS[name][1]
    frames = moving_scene(photos, (side, side))
    of_name = weights if name == SMALL_MODEL else make(name, 20.0, tmp_path)
    both = of_name.both(frames)
    both.run({
        0: three_objects(frames[0])[:2],
        8: [add(7, box(frames[8], 0.3, 0.2, 0.7, 0.8))],
        12: [refine(1, click(frames[12], 0.7, 0.6), first=True),
             refine(1, click(frames[12], 0.2, 0.3, 0))],
        16: [remove(2)],
    })
    assert both.tracker.object_ids == [1, 7]
    both.assert_telling()


def test_three_objects_at_once(weights: Weights, frames: list[Image]) -> None:
    both = weights.both(frames)
    both.run({0: three_objects(frames[0])})
    assert len(both.told) == 3 * FRAMES
    both.assert_telling()


def test_objects_that_leave_and_return(doubtful_weights: Weights, frames: list[Image]) -> None:
    """Below a score of zero there is no mask, and pointer and memory say that nothing is there."""
    both = doubtful_weights.both(frames)
    both.run({0: three_objects(frames[0]),
              12: [refine(1, click(frames[12], 0.5, 0.5), first=True)]})
    of_one = [(seen, area) for object_id, seen, area in both.told if object_id == 2]
    visible = [seen for seen, _ in of_one]
    assert np.count_nonzero(np.diff(visible)) >= 2
    assert all((area > 0) == seen for seen, area in of_one)


def test_an_object_is_corrected_where_it_was_not_seen(
    doubtful_weights: Weights, frames: list[Image],
) -> None:
    """Its logits of -1024 are fed back as -32."""
    both = doubtful_weights.both(frames)
    corrected: list[int] = []

    def correct_where_hidden(both: Both, frame: int) -> None:
        object_id, seen, _ = both.told[-1]
        if not seen and len(corrected) < 3:
            refine(object_id, click(frames[frame], 0.5, 0.5), first=True)(both, frame)
            corrected.append(frame)

    both.run({0: [add(1, click(frames[0], 0.2, 0.5))],
              **{index: [correct_where_hidden] for index in range(1, FRAMES)}})
    assert corrected


def test_masks_as_prompts(weights: Weights, frames: list[Image]) -> None:
    rows, columns = np.mgrid[0:256, 0:256]
    disc = (rows - 130) ** 2 + (columns - 200) ** 2 < 40 ** 2
    ring = disc & ((rows - 130) ** 2 + (columns - 200) ** 2 > 30 ** 2)
    both = weights.both(frames[:12])
    both.run({
        0: [add_mask(1, disc), add(2, click(frames[0], 0.2, 0.5)), add_mask(3, ring)],
        4: [add_mask(4, ring)],
        # A click after a mask: the mask counts as what was answered until then.
        6: [add_mask(5, disc), refine(5, click(frames[6], 0.7, 0.5), first=True)],
        8: [add_mask(6, disc, back=2)],
    })
    both.assert_telling()


def test_prompts_of_several_kinds(weights: Weights, frames: list[Image]) -> None:
    first, later = frames[0], frames[5]
    corners = box(first, 0.3, 0.2, 0.7, 0.8).box
    points = np.array([(120, 90), (140, 200), (30, 30)])
    both = weights.both(frames[:10])
    both.run({
        0: [add(1, Prompt(points=points, labels=[1, 1, 0])),
            add(2, Prompt(points=points[1:], labels=[1, 0], box=corners)),
            # On the frame on which the object begins, more of it still needs no memory.
            add(3, Prompt(box=corners)), refine(3, click(first, 0.5, 0.5)),
            refine(3, Prompt(points=points, labels=[1, 1, 0]))],
        5: [refine(1, box(later, 0.4, 0.3, 0.9, 0.9), first=True),
            refine(1, click(later, 0.6, 0.2, 0)),
            refine(2, Prompt(points=points[:2]), first=True)],
    })
    both.assert_telling()


def test_late_prompts(weights: Weights, frames: list[Image]) -> None:
    """A prompt on an earlier frame changes what came after it, and all that comes."""
    both = weights.both(frames)
    both.run({
        0: [add(1, click(frames[0], 0.8, 0.5))],
        6: [add(2, click(frames[4], 0.3, 0.4), back=2)],
        10: [refine(1, click(frames[7], 0.6, 0.6), first=True, back=3)],
        11: [refine(1, click(frames[10], 0.3, 0.7, 0), first=True, back=1),
             refine(1, click(frames[10], 0.4, 0.4), back=1)],
        15: [add(3, box(frames[12], 0.3, 0.2, 0.7, 0.8), back=3),
             refine(3, click(frames[14], 0.5, 0.5), first=True, back=1)],
    })
    both.assert_telling()


@pytest.mark.parametrize('size', [(300, 400), (200, 120)])
def test_frames_of_another_size(
    weights: Weights, photos: Path, size: tuple[int, int],
) -> None:
    frames = moving_scene(photos, size)[:8]
    rows, columns = np.mgrid[0:size[0], 0:size[1]]
    disc = (rows - size[0] / 2) ** 2 + (columns - size[1] / 2) ** 2 < (size[1] / 5) ** 2
    both = weights.both(frames)
    both.run({0: [*three_objects(frames[0]), add_mask(8, disc)],
              4: [refine(2, click(frames[4], 0.3, 0.5), first=True)]})
    both.assert_telling()


# Options, set in the official predictor too

def test_objects_that_do_not_overlap(weights: Weights, photos: Path) -> None:
    """Who gets a pixel is tested with masks; here, that the objects of a step share the image."""
    frames = moving_scene(photos, (180, 320))[:8]
    both = weights.both(frames, non_overlapping=True)
    both.official.predictor.non_overlap_masks = True
    both.tracker.step(frames[0])
    for object_id, x in ((1, 0.8), (2, 0.2), (3, 0.5)):
        prompt = click(frames[0], x, 0.5)
        both.official.prompt(0, object_id, prompt, first=True)
        both.tracker.add(object_id, prompt)
    for index, frame in enumerate(frames[1:], 1):
        found, expected = both.tracker.step(frame), both.official.step(index)
        objects = np.sum([answer.mask.to_image() > 0 for answer in found], axis=0)
        assert objects.max() == 1
        assert np.sum([answer.logits > 0 for answer in found], axis=0).max() == 3
        # Not each by itself: random weights see nearly the same in all.
        assert iou(objects > 0, np.logical_or.reduce(list(expected.values()))) >= LEAST_IOU


@pytest.mark.parametrize('area', [0, 3, 100])
def test_holes_of_other_sizes(weights: Weights, frames: list[Image], area: int) -> None:
    both = weights.both(frames[:6], fill_hole_area=area)
    both.official.predictor.fill_hole_area = area
    both.run({0: three_objects(frames[0]),
              3: [refine(1, click(frames[3], 0.6, 0.6), first=True)]})
    both.assert_telling()


@pytest.mark.parametrize('memories', [0, 2, 5])
def test_fewer_memories(weights: Weights, frames: list[Image], memories: int) -> None:
    both = weights.both(frames[:12], memories=memories)
    official = both.official.predictor
    # The last row stays that of prompted frames.
    rows = [*range(memories), official.num_maskmem - 1]
    official.maskmem_tpos_enc = torch.nn.Parameter(official.maskmem_tpos_enc[rows])
    official.num_maskmem = memories + 1
    both.run({0: three_objects(frames[0])[:2], 5: three_objects(frames[5])[2:]})
    both.assert_telling()


def test_corrections_that_are_remembered(weights: Weights, frames: list[Image]) -> None:
    both = weights.both(frames, remember_corrections=True)
    both.official.predictor.add_all_frames_to_correct_as_cond = True
    both.run({
        0: three_objects(frames[0])[:2],
        4: [refine(1, click(frames[4], 0.6, 0.6), first=True)],
        9: [refine(1, click(frames[7], 0.5, 0.5, 0), first=True, back=2),
            refine(2, click(frames[9], 0.4, 0.5), first=True)],
    })
    both.assert_telling()
