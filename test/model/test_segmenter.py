# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The run time gives the answers of the official image predictor on the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
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
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn.functional import interpolate

from sam2_ros.export.configs import MASK_THRESHOLD, MEAN, STD, load_model, random_model
from sam2_ros.export.exporter import ExportOptions, export_bundle
from sam2_ros.export.options import SHIPPED_CHECKPOINT
from sam2_ros.model import Bundle, Embedding, ImageSegmenter, Prompt, ProviderOptions, Segmentation
from sam2_ros.model.errors import BundleError, ImageError, PromptError
from sam2_ros.model.image_files import read_photo

#: What the project asks of final masks. Pixels whose logit is next to zero may fall either way.
LEAST_IOU = 0.999
#: Of the largest logit, and of predicted IoUs in 0..1: what the project asks of fp32 graphs, ten
#: times, since photographs are resized here and not given (6e-5 of the largest value is seen).
TOLERANCE = 1e-3

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """What ``SAM2ImagePredictor.predict`` returns: C masks [C, H, W], C IoUs, [C, M, M] logits."""

    masks: npt.NDArray[np.bool_]
    iou_predictions: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32]


class OfficialPredictor:
    """
    ``SAM2ImagePredictor`` step by step around the official modules.

    The class itself imports torchvision, which nothing else here needs.
    """

    def __init__(self, model: SAM2Base) -> None:
        self.model = model

    @torch.no_grad()
    def set_image(self, image: Image) -> None:
        """``SAM2Transforms.__call__`` and ``SAM2ImagePredictor.set_image``."""
        self._image_size = image.shape[:2]
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255
        side = self.model.image_size
        resized = interpolate(pixels[None], (side, side), mode='bilinear', antialias=True)
        mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
        backbone_out = self.model.forward_image((resized - mean) / std)
        _, features, _, _ = self.model._prepare_backbone_features(backbone_out)
        if self.model.directly_add_no_mem_embed:
            features[-1] = features[-1] + self.model.no_mem_embed
        sides = (side // 4, side // 8, side // 16)
        self._high_res_0, self._high_res_1, self._image_embed = (
            feature.permute(1, 2, 0).reshape(1, -1, rows, rows)
            for feature, rows in zip(features, sides, strict=True))

    @torch.no_grad()
    def predict(self, prompt: Prompt, multimask: bool) -> Answer:
        """``SAM2ImagePredictor._prep_prompts`` and ``_predict``."""
        coords, labels = [], []
        if prompt.box is not None:
            coords.append(self._transform(prompt.box.reshape(1, 2, 2)))
            labels.append(torch.tensor([[2, 3]], dtype=torch.int))
        if len(prompt.points):
            coords.append(self._transform(prompt.points[None]))
            labels.append(torch.from_numpy(prompt.labels)[None])
        points = (torch.cat(coords, 1), torch.cat(labels, 1)) if coords else None
        mask = None if prompt.mask is None else torch.from_numpy(prompt.mask)[None, None]
        sparse, dense = self.model.sam_prompt_encoder(points=points, boxes=None, masks=mask)
        masks, ious, _, _ = self.model.sam_mask_decoder(
            image_embeddings=self._image_embed,
            image_pe=self.model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense,
            multimask_output=multimask, repeat_image=False,
            high_res_features=[self._high_res_0, self._high_res_1])
        full = interpolate(masks, self._image_size, mode='bilinear', align_corners=False)
        return Answer((full[0] > MASK_THRESHOLD).numpy(), ious[0].numpy(),
                      masks[0].clamp(-32.0, 32.0).numpy())

    def _transform(self, coords: npt.NDArray[np.float64]) -> Tensor:
        """``SAM2Transforms.transform_coords``."""
        height, width = self._image_size
        transformed = torch.as_tensor(coords, dtype=torch.float).clone()
        transformed[..., 0] = transformed[..., 0] / width
        transformed[..., 1] = transformed[..., 1] / height
        return transformed * self.model.image_size


@dataclass(frozen=True)
class Pair:
    """The same weights twice."""

    segmenter: ImageSegmenter
    official: OfficialPredictor


@dataclass(frozen=True)
class Scene:
    """A photograph that both have encoded."""

    pair: Pair
    image: Image
    embedding: Embedding

    @property
    def size(self) -> tuple[int, int]:
        return self.embedding.image_size

    @property
    def mask_size(self) -> int:
        return self.pair.segmenter.bundle.manifest.constants.mask_size

    def segment(self, prompt: Prompt, multimask: bool | None = None) -> Segmentation:
        [answer] = self.pair.segmenter.segment(self.embedding, [prompt], multimask)
        return answer

    def logits_of_a_click(self) -> npt.NDArray[np.float32]:
        answer = self.segment(Prompt(points=[at(self.size, 0.5, 0.4)]))
        return answer.logits[answer.best]


def at(size: tuple[int, int], x: float, y: float) -> tuple[float, float]:
    """Return the pixel at parts 0..1 of the width and the height."""
    return x * size[1], y * size[0]


def box_of(size: tuple[int, int], *parts: float) -> tuple[float, ...]:
    return (*at(size, *parts[:2]), *at(size, *parts[2:]))


#: Prompts by name, and whether the official predictor is asked for several masks on its own
#: accord (``SAM2Base._use_multimask``: up to one point).
PROMPTS: dict[str, tuple[Callable[[Scene], Prompt], bool]] = {
    'one point': (lambda s: Prompt(points=[at(s.size, 0.43, 0.61)]), True),
    'one negative point': (lambda s: Prompt(points=[at(s.size, 0.3, 0.3)], labels=[0]), True),
    'points': (lambda s: Prompt(
        points=[at(s.size, 0.5, 0.5), at(s.size, 0.6, 0.4), at(s.size, 0.1, 0.9)],
        labels=[1, 1, 0]), False),
    'corners of the image': (lambda s: Prompt(
        points=[(0, 0), (s.size[1] - 1, s.size[0] - 1)]), False),
    'box': (lambda s: Prompt(box=box_of(s.size, 0.2, 0.15, 0.75, 0.8)), False),
    'box over the edge': (lambda s: Prompt(box=box_of(s.size, -0.1, 0.3, 0.5, 1.2)), False),
    'box with points': (lambda s: Prompt(
        points=[at(s.size, 0.5, 0.5), at(s.size, 0.25, 0.2)], labels=[1, 0],
        box=box_of(s.size, 0.2, 0.15, 0.75, 0.8)), False),
    'point with mask': (lambda s: Prompt(
        points=[at(s.size, 0.5, 0.4)], mask=s.logits_of_a_click()), True),
    'points with mask': (lambda s: Prompt(
        points=[at(s.size, 0.5, 0.4), at(s.size, 0.8, 0.8)], labels=[1, 0],
        mask=s.logits_of_a_click()), False),
    'box with mask': (lambda s: Prompt(
        box=box_of(s.size, 0.2, 0.15, 0.75, 0.8), mask=s.logits_of_a_click()), False),
    'mask alone': (lambda s: Prompt(mask=s.logits_of_a_click()), True),
}

#: Smaller, larger, portrait, landscape, and of the model's own size. OpenCV's stretching is no
#: part of the comparison, it only makes pictures of a camera's size from those at hand.
PICTURES: dict[str, tuple[str, tuple[int, int]]] = {
    'small 300x451': ('chelsea.png', (300, 451)),
    'square 512x512': ('astronaut.png', (512, 512)),
    'landscape 720x1280': ('rocket.jpg', (720, 1280)),
    'portrait 1600x1200': ('coffee.png', (1600, 1200)),
}

#: Every picture with the faster models; the largest model, once: PyTorch takes its time.
on_scenes = pytest.mark.parametrize(('pair', 'scene'), [
    *product(('sam2_tiny_512', 'trained'), PICTURES), ('sam2.1_tiny_1024', 'landscape 720x1280'),
], indirect=True)


def photograph(photos: Path, name: str) -> Image:
    file, (height, width) = PICTURES[name]
    image = read_photo(photos / file)
    if height > width:
        image = np.ascontiguousarray(np.rot90(image))
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(
        cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope='module')
def pair(request: pytest.FixtureRequest) -> Pair:
    fixture, model = {
        'sam2.1_tiny_1024': ('tiny_bundle', lambda: random_model('sam2.1_tiny')),
        'sam2_tiny_512': ('sam2_tiny_512_bundle', lambda: random_model('sam2_tiny', 512)),
        'trained': ('trained_bundle', lambda: load_model('sam2_nano', SHIPPED_CHECKPOINT)),
    }[request.param]
    bundle = Bundle.load(request.getfixturevalue(fixture))
    return Pair(ImageSegmenter(bundle, 'cpu'), OfficialPredictor(model()))


@pytest.fixture(scope='module')
def scene(pair: Pair, photos: Path, request: pytest.FixtureRequest) -> Scene:
    return encoded(pair, photograph(photos, request.param))


@pytest.fixture(scope='module')
def trained_scene(trained_bundle: Path, photos: Path) -> Scene:
    pair = Pair(ImageSegmenter(Bundle.load(trained_bundle), 'cpu'),
                OfficialPredictor(load_model('sam2_nano', SHIPPED_CHECKPOINT)))
    return encoded(pair, photograph(photos, 'small 300x451'))


def encoded(pair: Pair, image: Image) -> Scene:
    pair.official.set_image(image)
    return Scene(pair, image, pair.segmenter.encode(image))


def assert_same(found: Segmentation, official: Answer) -> None:
    assert found.logits.shape == official.logits.shape
    assert found.logits.dtype == found.iou_predictions.dtype == np.float32
    scale = np.abs(official.logits).max()
    assert np.abs(found.logits - official.logits).max() < TOLERANCE * scale
    assert np.abs(found.iou_predictions - official.iou_predictions).max() < TOLERANCE
    for index, expected in enumerate(official.masks):
        mask = found.mask(index)
        assert iou(mask.to_image() > 0, expected) >= LEAST_IOU
        assert mask.iou_prediction == found.iou_predictions[index]


def iou(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


# Parity with the official predictor

@on_scenes
@pytest.mark.parametrize('name', PROMPTS)
def test_same_masks_as_the_official_predictor(scene: Scene, name: str) -> None:
    make, ambiguous = PROMPTS[name]
    prompt = make(scene)
    found = {multimask: scene.segment(prompt, multimask) for multimask in (True, False, None)}
    for multimask in (True, False):
        assert_same(found[multimask], scene.pair.official.predict(prompt, multimask))
    np.testing.assert_array_equal(found[None].logits, found[ambiguous].logits)


@on_scenes
def test_objects_of_different_kinds_at_once_are_each_as_alone(scene: Scene) -> None:
    prompts = [make(scene) for make, _ in PROMPTS.values()]
    together = scene.pair.segmenter.segment(scene.embedding, prompts)
    for prompt, found in zip(prompts, together, strict=True):
        assert_agree(found, scene.segment(prompt))


def assert_agree(found: Segmentation, expected: Segmentation) -> None:
    """Equal but for the order in which sums of a batch are taken."""
    # 1e-4 of the largest logit: what the project asks of two runs of the same graph.
    np.testing.assert_allclose(
        found.logits, expected.logits, rtol=0, atol=1e-4 * np.abs(expected.logits).max())
    np.testing.assert_allclose(found.iou_predictions, expected.iou_predictions, atol=1e-4)
    assert found.object_score == pytest.approx(expected.object_score, rel=1e-3, abs=1e-3)
    assert found.image_size == expected.image_size


@pytest.mark.parametrize('threshold', [0.0, 1.1], ids=['always stable', 'never stable'])
def test_a_single_mask_that_is_unstable_gives_way_to_the_best_of_three(
    trained_scene: Scene, threshold: float,
) -> None:
    segmenter = with_constants(trained_scene, stability_threshold=threshold)
    official = OfficialPredictor(load_model('sam2_nano', SHIPPED_CHECKPOINT))
    official.model.sam_mask_decoder.dynamic_multimask_stability_thresh = threshold
    official.set_image(trained_scene.image)
    prompt = Prompt(points=[at(trained_scene.size, 0.5, 0.5)])
    [found] = segmenter.segment(segmenter.encode(trained_scene.image), [prompt], False)
    assert_same(found, official.predict(prompt, False))
    three = trained_scene.segment(prompt, True).iou_predictions
    assert (found.iou_predictions[0] == three.max()) == (threshold > 1)


def test_a_model_without_the_stability_rule_gives_its_single_mask(trained_scene: Scene) -> None:
    segmenter = with_constants(
        trained_scene, dynamic_multimask_via_stability=False, stability_threshold=1.1)
    official = OfficialPredictor(load_model('sam2_nano', SHIPPED_CHECKPOINT))
    official.model.sam_mask_decoder.dynamic_multimask_via_stability = False
    official.set_image(trained_scene.image)
    prompt = Prompt(points=[at(trained_scene.size, 0.5, 0.5)])
    [found] = segmenter.segment(segmenter.encode(trained_scene.image), [prompt], False)
    assert_same(found, official.predict(prompt, False))


def with_constants(scene: Scene, **changes: Any) -> ImageSegmenter:
    bundle = scene.pair.segmenter.bundle
    constants = replace(bundle.manifest.constants, **changes)
    return ImageSegmenter(
        Bundle(bundle.path, replace(bundle.manifest, constants=constants)), 'cpu')


def test_masks_come_from_logits_that_are_not_bounded(
    tmp_path: Path, trained_scene: Scene,
) -> None:
    """Trained models reach beyond +-32, where the outline of bounded logits lies elsewhere."""
    model = load_model('sam2_nano', SHIPPED_CHECKPOINT)
    with torch.no_grad():
        for network in model.sam_mask_decoder.output_hypernetworks_mlps:
            network.layers[-1].weight.mul_(50)
            network.layers[-1].bias.mul_(50)
    torch.save({'model': model.state_dict()}, tmp_path / 'loud.pt')
    bundle = export_bundle(ExportOptions(
        model='sam2_nano', output=tmp_path / 'loud', checkpoint=tmp_path / 'loud.pt',
        image_only=True))
    scene = encoded(
        Pair(ImageSegmenter(bundle, 'cpu'), OfficialPredictor(model)), trained_scene.image)
    prompt = Prompt(points=[at(scene.size, 0.5, 0.5)])
    found = scene.segment(prompt, True)
    assert found.logits.max() == 32
    assert found.logits.min() == -32
    assert_same(found, scene.pair.official.predict(prompt, True))


# What the segmenter takes

@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 50, 3), (700, 2, 3)])
def test_images_of_any_size(trained_scene: Scene, shape: tuple[int, ...]) -> None:
    segmenter = trained_scene.pair.segmenter
    embedding = segmenter.encode(np.full(shape, 128, np.uint8))
    assert embedding.image_size == shape[:2]
    [answer] = segmenter.segment(embedding, [Prompt(points=[(0, 0)])])
    assert answer.image_size == shape[:2]
    assert answer.mask().to_image().shape == shape[:2]


def test_views_and_read_only_images_are_the_same_as_copies(trained_scene: Scene) -> None:
    segmenter, image = trained_scene.pair.segmenter, trained_scene.image
    read_only = np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape)
    reversed_view = np.ascontiguousarray(image[::-1, :, ::-1])[::-1, :, ::-1]
    prompt = Prompt(points=[at(trained_scene.size, 0.5, 0.5)])
    expected = trained_scene.segment(prompt)
    for view in (read_only, reversed_view):
        [found] = segmenter.segment(segmenter.encode(view), [prompt])
        np.testing.assert_array_equal(found.logits, expected.logits)


@pytest.mark.parametrize(('image', 'message'), [
    (np.zeros((4, 4), np.uint8), r'got \[4, 4\] of uint8'),
    (np.zeros((4, 4, 4), np.uint8), r'got \[4, 4, 4\] of uint8'),
    (np.zeros((4, 4, 3), np.float32), r'got \[4, 4, 3\] of float32'),
    (np.zeros((0, 4, 3), np.uint8), 'the image is empty: 4x0 pixels'),
    (np.zeros((4, 0, 3), np.uint8), 'the image is empty: 0x4 pixels'),
])
def test_what_is_no_image(trained_scene: Scene, image: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        trained_scene.pair.segmenter.encode(image)


def test_no_prompts_no_answers(trained_scene: Scene) -> None:
    assert trained_scene.pair.segmenter.segment(trained_scene.embedding, []) == []


def test_one_bad_prompt_among_good_ones_is_told(trained_scene: Scene) -> None:
    with pytest.raises(PromptError, match=r'point \(451, 10\) lies outside the 451x300 image'):
        trained_scene.pair.segmenter.segment(
            trained_scene.embedding, [Prompt(points=[(1, 1)]), Prompt(points=[(451, 10)])])


def test_a_mask_prompt_of_another_model_is_told(trained_scene: Scene) -> None:
    with pytest.raises(PromptError, match=r'32x32 logits, but this model takes (\d+)x\1$'):
        trained_scene.segment(Prompt(mask=np.zeros((32, 32), np.float32)))


@pytest.mark.parametrize('objects', [3, 4, 5, 17])
def test_any_number_of_objects(trained_scene: Scene, objects: int) -> None:
    prompts = [Prompt(points=[at(trained_scene.size, (i + 0.5) / objects, 0.5)])
               for i in range(objects)]
    together = trained_scene.pair.segmenter.segment(trained_scene.embedding, prompts)
    for prompt, found in zip(prompts, together, strict=True):
        assert_agree(found, trained_scene.segment(prompt))


def test_an_embedding_keeps_while_others_are_made(trained_scene: Scene) -> None:
    prompt = Prompt(points=[at(trained_scene.size, 0.5, 0.5)])
    before = trained_scene.segment(prompt)
    trained_scene.pair.segmenter.encode(np.zeros((100, 100, 3), np.uint8))
    np.testing.assert_array_equal(trained_scene.segment(prompt).logits, before.logits)


# What the segmenter gives

def test_the_best_candidate_is_the_one_with_the_highest_predicted_iou(
    trained_scene: Scene,
) -> None:
    answer = trained_scene.segment(Prompt(points=[at(trained_scene.size, 0.5, 0.5)]), True)
    assert answer.iou_predictions.shape == (3,)
    assert answer.iou_predictions[answer.best] == answer.iou_predictions.max()
    best, same = answer.mask(), answer.mask(answer.best)
    assert best.box == same.box
    np.testing.assert_array_equal(best.crop, same.crop)
    assert best.object_score == answer.object_score
    assert isinstance(best.object_score, float)


def test_an_answer_can_be_changed_without_changing_others(trained_scene: Scene) -> None:
    prompts = [Prompt(points=[at(trained_scene.size, x, 0.5)]) for x in (0.3, 0.7)]
    one, other = trained_scene.pair.segmenter.segment(trained_scene.embedding, prompts)
    kept = other.logits.copy()
    one.logits[:] = 0
    one.iou_predictions[:] = 0
    np.testing.assert_array_equal(other.logits, kept)


def test_timings_of_every_stage(trained_bundle: Path, trained_scene: Scene) -> None:
    segmenter = ImageSegmenter(Bundle.load(trained_bundle), 'cpu')
    segmenter.warm_up()
    assert segmenter.last_timings == {}
    embedding = segmenter.encode(trained_scene.image)
    assert set(segmenter.last_timings) == {'resize', 'encode'}
    [answer] = segmenter.segment(embedding, [Prompt(points=[(1, 1)])])
    assert set(segmenter.last_timings) == {'resize', 'encode', 'decode'}
    answer.mask()
    assert set(segmenter.last_timings) == {'resize', 'encode', 'decode', 'upscale'}
    assert all(seconds > 0 for seconds in segmenter.last_timings.values())


def test_one_thread_gives_the_same_masks(trained_bundle: Path, trained_scene: Scene) -> None:
    segmenter = ImageSegmenter(
        Bundle.load(trained_bundle), 'cpu', ProviderOptions(threads=1))
    embedding = segmenter.encode(trained_scene.image)
    for make, _ in PROMPTS.values():
        prompt = make(trained_scene)
        [found] = segmenter.segment(embedding, [prompt])
        expected = trained_scene.segment(prompt)
        assert_agree(found, expected)
        assert iou(found.mask().to_image() > 0, expected.mask().to_image() > 0) >= LEAST_IOU


def test_a_bundle_in_half_precision(tmp_path: Path, trained_scene: Scene) -> None:
    bundle = export_bundle(ExportOptions(
        model='sam2_nano', output=tmp_path / 'half', checkpoint=SHIPPED_CHECKPOINT,
        precision='fp16', image_only=True))
    segmenter = ImageSegmenter(bundle, 'cpu')
    embedding = segmenter.encode(trained_scene.image)
    for make, _ in PROMPTS.values():
        prompt = make(trained_scene)
        [found] = segmenter.segment(embedding, [prompt], True)
        expected = trained_scene.segment(prompt, True)
        # 11 bits a number: twice the 1e-2 that the exporter allows on its own picture and prompts,
        # of the largest logit and of predicted IoUs.
        np.testing.assert_allclose(
            found.logits, expected.logits, rtol=0, atol=2e-2 * np.abs(expected.logits).max())
        np.testing.assert_allclose(found.iou_predictions, expected.iou_predictions, atol=2e-2)


# Bundles whose graphs are not what the manifest says

@pytest.mark.parametrize('graph', ['image_resize', 'image_encoder', 'image_decoder'])
@pytest.mark.parametrize('kind', ['inputs', 'outputs'])
@pytest.mark.parametrize('change', ['name', 'dtype', 'shape', 'missing'])
def test_a_graph_with_other_inputs_or_outputs_is_refused(
    trained_bundle: Path, graph: str, kind: str, change: str,
) -> None:
    bundle = Bundle.load(trained_bundle)
    info = bundle.manifest.graphs[graph]
    first, *rest = getattr(info, kind)
    tensors = {
        'name': (replace(first, name='other'), *rest),
        'dtype': (replace(first, dtype='int64'), *rest),
        'shape': (replace(first, shape=(7, *first.shape[1:])), *rest),
        'missing': tuple(rest),
    }[change]
    change_of_graph: dict[str, Any] = {kind: tensors}
    graphs = {**bundle.manifest.graphs, graph: replace(info, **change_of_graph)}
    with pytest.raises(BundleError) as caught:
        ImageSegmenter(Bundle(bundle.path, replace(bundle.manifest, graphs=graphs)), 'cpu')
    message = str(caught.value)
    assert f'{graph}.onnx: its {kind} are' in message
    assert 'but the manifest states' in message
    assert '\n' not in message
