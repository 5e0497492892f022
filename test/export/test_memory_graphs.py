# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The memory graphs of a bundle against the official model's own steps on the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.export import reference, trace
from sam2_ros.export.configs import load_model, random_model
from sam2_ros.export.errors import ExportError
from sam2_ros.export.image_decoder import ImageDecoder
from sam2_ros.export.memory_attention import MemoryAttention
from sam2_ros.export.memory_encoder import MemoryEncoder
from sam2_ros.export.options import SHIPPED_CHECKPOINT
from sam2_ros.export.verify import (
    BFLOAT16,
    memory_attention_case,
    picture,
    relative_difference,
    run_graph,
)
from sam2_ros.model.bundle import Bundle

#: What the project asks of fp32; seen are 1e-6 to 1e-5.
TOLERANCE = 1e-4
#: Random pictures and numbers differ from those that the exporter itself checks with.
SEED = 12

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Tracked:
    """A bundle, the model it was made from, and a picture and memories as that model has them."""

    bundle: Bundle
    model: SAM2Base
    image_embed: Tensor
    memories: Tensor

    def run(self, name: str, **inputs: NDArray[Any]) -> NDArray[Any]:
        """Return the only output of a graph on the picture."""
        everything = {'image_embed': self.image_embed.numpy(), **inputs}
        output: NDArray[Any] = run_graph(self.bundle.graph_path(name), [everything])[0][0]
        return output


def tracked_from(folder: Path, model: SAM2Base) -> Tracked:
    side = model.image_size
    image = torch.from_numpy(picture(side, side, SEED)[None].astype(np.float32))
    image_embed, _, _ = reference.encode(model, image)
    scores = torch.tensor([[6.0], [-2.0], [1.0]])
    memories = reference.encode_memory(
        model, image_embed, mask_logits(3, side // 4), scores, torch.tensor([1, 0, 0]))
    return Tracked(Bundle.load(folder), model, image_embed, memories)


def mask_logits(count: int, side: int) -> Tensor:
    """Logits of soft-edged blobs [count, 1, side, side], each at a place of its own."""
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[0:side, 0:side] / side
    distance = [np.hypot(x - cx, y - cy) for cx, cy in random.uniform(0.2, 0.8, (count, 2))]
    return torch.from_numpy(np.stack(distance)[:, None]).float().sub(0.2).mul(-40)


@pytest.fixture(
    scope='module', params=['nano', 'trained', 'sam2_tiny_512', 'sam2.1_tiny_1024'])
def tracked(request: pytest.FixtureRequest) -> Tracked:
    if request.param == 'nano':
        return tracked_from(request.getfixturevalue('nano_bundle'), random_model('sam2_nano', 256))
    if request.param == 'trained':
        folder = request.getfixturevalue('trained_bundle')
        return tracked_from(folder, load_model('sam2_nano', SHIPPED_CHECKPOINT))
    if request.param == 'sam2_tiny_512':
        folder = request.getfixturevalue('sam2_tiny_512_bundle')
        return tracked_from(folder, random_model('sam2_tiny', 512))
    return tracked_from(request.getfixturevalue('tiny_bundle'), random_model('sam2.1_tiny'))


@pytest.fixture(scope='module')
def nano(nano_bundle: Path) -> Tracked:
    return tracked_from(nano_bundle, random_model('sam2_nano', 256))


@torch.no_grad()
def official_attention(
        tracked: Tracked, frame: int, prompted: list[int]) -> tuple[Tensor, Arrays]:
    """
    Return what the official model makes of ``frame``, and the graph's inputs that say the same.

    All frames from the first prompted one on have been tracked.
    """
    model, random = tracked.model, np.random.default_rng([SEED, frame])
    side = model.sam_image_embedding_size
    encoding = model.memory_encoder.position_encoding(torch.zeros(1, model.mem_dim, side, side))
    outputs: dict[int, dict[str, Any]] = {
        t: {'maskmem_features': tracked.memories[[t % 3]].mT.reshape(1, -1, side, side),
            'maskmem_pos_enc': [encoding],
            'obj_ptr': torch.from_numpy(random.normal(size=(1, model.hidden_dim))).float()}
        for t in range(prompted[0], frame)}
    history = {
        'cond_frame_outputs': {t: outputs[t] for t in prompted},
        'non_cond_frame_outputs': {t: out for t, out in outputs.items() if t not in prompted}}
    image_encoding = model.image_encoder.neck.position_encoding(tracked.image_embed)
    conditioned = model._prepare_memory_conditioned_features(
        frame, False, [tracked.image_embed.flatten(2).permute(2, 0, 1)],
        [image_encoding.flatten(2).permute(2, 0, 1)], [(side, side)], history, num_frames=1000)

    recent = [t for t in range(frame - 6, frame) if t in outputs and t not in prompted]
    pointing = [t for t in range(frame - 15, frame) if t in outputs and t not in prompted]
    return conditioned, {
        'memory_features': torch.stack(
            [tracked.memories[t % 3] for t in (*prompted, *recent)])[None].numpy(),
        'memory_steps': np.array([[0] * len(prompted) + [frame - t for t in recent]]),
        'object_pointers': torch.stack(
            [outputs[t]['obj_ptr'][0] for t in (*prompted, *pointing)])[None].numpy(),
        'pointer_steps': np.array(
            [[frame - t for t in (*prompted, *pointing)]], np.float32)}


@pytest.mark.parametrize('tracked', ['nano', 'trained', 'sam2_tiny_512'], indirect=True)
@pytest.mark.parametrize(
    ('frame', 'prompted', 'memories', 'pointers'), [
        pytest.param(1, [0], 1, 1, id='the frame after the prompt'),
        pytest.param(5, [2], 3, 3, id='a few frames later'),
        pytest.param(9, [0, 4, 8], 7, 9, id='several prompted frames, some of them recent'),
        pytest.param(40, [3], 7, 16, id='full memory, long after the prompt'),
    ])
def test_attention_gives_the_official_image(
        tracked: Tracked, frame: int, prompted: list[int], memories: int, pointers: int) -> None:
    expected, inputs = official_attention(tracked, frame, prompted)
    assert inputs['memory_features'].shape[1] == memories
    assert inputs['object_pointers'].shape[1] == pointers

    found = tracked.run('memory_attention', **inputs)

    assert relative_difference(found, expected.numpy()) < TOLERANCE


@pytest.mark.parametrize('tracked', ['sam2.1_tiny_1024'], indirect=True)
def test_attention_gives_the_official_image_of_the_full_size(tracked: Tracked) -> None:
    """The most that there is, once: PyTorch takes its time."""
    expected, inputs = official_attention(tracked, frame=40, prompted=[3])

    found = tracked.run('memory_attention', **inputs)

    assert inputs['memory_features'].shape[1:3] == (7, 64 * 64)
    assert relative_difference(found, expected.numpy()) < TOLERANCE


@pytest.mark.parametrize(
    ('objects', 'memories', 'pointers'), [
        (1, 1, 0), (1, 2, 0), (1, 9, 40), (3, 1, 0), (3, 1, 1), (3, 2, 16), (3, 7, 2)])
def test_attention_at_every_length(
        nano: Tracked, objects: int, memories: int, pointers: int) -> None:
    """Lengths that the host can ask for, beside those of the official model."""
    case = memory_attention_case(
        nano.model, nano.image_embed.numpy(), nano.memories.numpy(), objects, memories, pointers)

    found = nano.run('memory_attention', **case.inputs)

    assert found.shape == (objects, *nano.image_embed.shape[1:])
    assert relative_difference(found, case.expected[0]) < TOLERANCE


def test_objects_do_not_see_each_other(nano: Tracked) -> None:
    inputs = memory_attention_case(
        nano.model, nano.image_embed.numpy(), nano.memories.numpy(), 3, 2, 4).inputs
    del inputs['image_embed']

    together = nano.run('memory_attention', **inputs)

    for index in range(3):
        alone = {name: array[index:index + 1] for name, array in inputs.items()}
        assert relative_difference(
            nano.run('memory_attention', **alone), together[index:index + 1]) < TOLERANCE


@pytest.mark.parametrize('scores', [[4.0], [-4.0], [2.0, -0.5, 30.0]])
@pytest.mark.parametrize('prompted', [0, 1])
def test_memory_encoder_gives_the_official_memories(
        tracked: Tracked, scores: list[float], prompted: int) -> None:
    model, count = tracked.model, len(scores)
    masks = mask_logits(count, model.image_size // 4)

    found = tracked.run(
        'memory_encoder', masks=masks.numpy(),
        object_score_logits=np.array(scores, np.float32)[:, None],
        is_prompted=np.full(count, prompted, np.float32))

    expected = official_memories(model, tracked.image_embed, masks, scores, bool(prompted))
    assert relative_difference(found, expected.numpy(), BFLOAT16) < TOLERANCE
    assert not np.any(found.view(np.uint32) & 0xFFFF), 'more bits than a bfloat16 has'


@torch.no_grad()
def official_memories(
        model: SAM2Base, image_embed: Tensor, masks: Tensor, scores: list[float],
        prompted: bool) -> Tensor:
    """Memories [B, P, D], all objects at once, with the setting of the video predictor."""
    side = model.sam_image_embedding_size
    high_res = torch.nn.functional.interpolate(
        masks, (model.image_size,) * 2, mode='bilinear', align_corners=False)
    model.binarize_mask_from_pts_for_mem_enc = True
    tokens = image_embed.expand(len(scores), -1, -1, -1).flatten(2).permute(2, 0, 1)
    features, _ = model._encode_new_memory(
        [tokens], [(side, side)], high_res, torch.tensor(scores)[:, None], prompted)
    return features.flatten(2).mT


def test_prompted_and_tracked_objects_in_one_call(nano: Tracked) -> None:
    masks = mask_logits(2, nano.model.image_size // 4).numpy()
    scores = np.ones((2, 1), np.float32)

    both = nano.run('memory_encoder', masks=masks, object_score_logits=scores,
                    is_prompted=np.array([1, 0], np.float32))

    for index, prompted in enumerate((1, 0)):
        alone = nano.run(
            'memory_encoder', masks=masks[[index]], object_score_logits=scores[:1],
            is_prompted=np.array([prompted], np.float32))
        assert relative_difference(both[[index]], alone, 2 * BFLOAT16) < TOLERANCE


def unseen_parameters(
        model: SAM2Base, prefixes: tuple[str, ...], difference: Callable[[], float]) -> list[str]:
    """Return the parameters that can change without a ``difference`` that the tests would see."""
    torch.manual_seed(SEED)
    unseen = []
    for name, parameter in model.named_parameters():
        if name.startswith(prefixes):
            right = parameter.detach().clone()
            with torch.no_grad():
                parameter.add_(0.3 * torch.randn_like(parameter))
                if not difference() > TOLERANCE:
                    unseen.append(name)
                parameter.copy_(right)
    return unseen


def test_attention_loses_no_parameter(nano: Tracked) -> None:
    """A model that differs in one parameter must not pass as the same."""
    inputs = memory_attention_case(
        nano.model, nano.image_embed.numpy(), nano.memories.numpy(), 1, 2, 16).inputs
    found = nano.run('memory_attention', **inputs)
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    other = random_model('sam2_nano', 256)

    def difference() -> float:
        return relative_difference(found, reference.attend(other, *tensors).numpy())

    assert difference() < TOLERANCE
    prefixes = ('memory_attention', 'maskmem_tpos_enc', 'obj_ptr_tpos_proj')
    assert not unseen_parameters(other, prefixes, difference)


def test_memory_encoder_loses_no_parameter(nano: Tracked) -> None:
    masks, scores = mask_logits(1, nano.model.image_size // 4), [-3.0]
    found = nano.run(
        'memory_encoder', masks=masks.numpy(), object_score_logits=np.array([scores], np.float32),
        is_prompted=np.zeros(1, np.float32))
    other = random_model('sam2_nano', 256)

    def difference() -> float:
        expected = official_memories(other, nano.image_embed, masks, scores, False)
        return relative_difference(found, expected.numpy(), BFLOAT16)

    assert difference() < TOLERANCE
    assert not unseen_parameters(other, ('memory_encoder', 'no_obj_embed_spatial'), difference)


@pytest.mark.parametrize('size', [512, 768, 1024])
def test_memory_graphs_at_every_image_size(size: int) -> None:
    model = random_model('sam2_nano', size)
    side = model.sam_image_embedding_size
    random = np.random.default_rng(SEED)
    image_embed = random.normal(size=(1, model.hidden_dim, side, side)).astype(np.float32)
    masks = mask_logits(2, size // 4)
    scores = [3.0, -3.0]

    encoder_inputs = {
        'image_embed': image_embed, 'masks': masks.numpy(),
        'object_score_logits': np.array(scores, np.float32)[:, None],
        'is_prompted': np.zeros(2, np.float32)}
    memories = traced(MemoryEncoder, model, trace.memory_encoder_signature, encoder_inputs)
    expected = official_memories(model, torch.from_numpy(image_embed), masks, scores, False)
    case = memory_attention_case(model, image_embed, memories, 2, 3, 5)
    attended = traced(MemoryAttention, model, trace.memory_attention_signature, case.inputs)

    assert relative_difference(memories, expected.numpy(), BFLOAT16) < TOLERANCE
    assert relative_difference(attended, case.expected[0]) < TOLERANCE


def traced(
        module: Callable[[SAM2Base], nn.Module], model: SAM2Base,
        signature_of: Callable[[SAM2Base], trace.Signature], inputs: Arrays) -> NDArray[Any]:
    """Run ``module`` as an ONNX graph; return its first output."""
    signature = signature_of(model)
    example = tuple(torch.from_numpy(inputs[tensor.name]) for tensor in signature.inputs)
    graph = trace.trace(module(model), signature, example, 18)
    output: NDArray[Any] = run_graph(graph, [inputs])[0][0]
    return output


@torch.no_grad()
def official_pointers(
        model: SAM2Base, image_embed: Tensor, features: list[Tensor], coords: Tensor,
        labels: Tensor, multimask: bool) -> tuple[Tensor, Tensor]:
    """Return pointers [B, C] and object scores [B, 1] of ``_forward_sam_heads``."""
    objects = len(coords)
    *_, pointers, scores = model._forward_sam_heads(
        image_embed.expand(objects, -1, -1, -1), {'point_coords': coords, 'point_labels': labels},
        high_res_features=features, multimask_output=multimask)
    return pointers, scores


@pytest.mark.parametrize('appears', [True, False])
@pytest.mark.parametrize('soft', [True, False])
@pytest.mark.parametrize('fixed', [True, False])
@pytest.mark.parametrize('multimask', [True, False])
def test_decoder_gives_the_official_pointers(
        nano: Tracked, appears: bool, soft: bool, fixed: bool, multimask: bool) -> None:
    model = random_model('sam2_nano', 256)
    model.soft_no_obj_ptr, model.fixed_no_obj_ptr = soft, fixed
    # A score of about this, whatever the picture: near enough to zero for softness to matter.
    score = model.sam_mask_decoder.pred_obj_score_head.layers[-1]
    with torch.no_grad():
        score.weight.mul_(0.01)
        score.bias.fill_(0.7 if appears else -0.7)
    side = model.image_size // 4
    random = np.random.default_rng(SEED)
    features = [torch.from_numpy(random.normal(size=shape)).float()
                for shape in ((1, 16, side, side), (1, 32, side // 2, side // 2))]
    coords = torch.from_numpy(random.uniform(0, model.image_size, (3, 1, 2))).float()
    labels = torch.ones(3, 1, dtype=torch.int32)
    expected, scores = official_pointers(
        model, nano.image_embed + model.no_mem_embed.reshape(1, -1, 1, 1), features, coords,
        labels, multimask)
    assert bool((scores > 0).all()) == appears

    padded = torch.cat([coords, torch.zeros(3, 1, 2)], 1), torch.cat([labels, -labels], 1)
    with torch.no_grad():
        _, ious, _, pointers = ImageDecoder(model)(
            nano.image_embed, *features, *padded, torch.zeros(1, 1, side, side), torch.zeros(1),
            torch.zeros(1))

    chosen = 1 + ious[:, 1:].argmax(1) if multimask else torch.zeros(3, dtype=torch.long)
    assert relative_difference(
        pointers[torch.arange(3), chosen].numpy(), expected.numpy()) < TOLERANCE


@pytest.mark.parametrize(('attribute', 'value'), [
    ('pos_enc_at_attn', True), ('pos_enc_at_cross_attn_queries', True),
    ('pos_enc_at_cross_attn_keys', False)])
def test_positions_elsewhere_are_refused(attribute: str, value: bool) -> None:
    model = random_model('sam2_nano', 256)
    setattr(model.memory_attention.layers[0], attribute, value)

    with pytest.raises(ExportError, match='encodes positions elsewhere'):
        MemoryAttention(model)


def test_several_heads_are_refused() -> None:
    model = random_model('sam2_nano', 256)
    model.memory_attention.layers[0].self_attn.num_heads = 2

    with pytest.raises(ExportError, match='has several heads'):
        MemoryAttention(model)
