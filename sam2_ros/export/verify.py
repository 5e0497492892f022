# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a graph is valid ONNX and gives the numbers of PyTorch and the official modules."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from sam2_ros.export import reference
from sam2_ros.export.errors import ExportError
from sam2_ros.export.trace import mask_size
from sam2_ros.model.errors import first_line

Arrays = dict[str, NDArray[Any]]

#: In parts of 255: PyTorch and ONNX Runtime round coordinates differently, up to 4e-5 seen.
RESIZE_TOLERANCE = 1e-4
#: Height and width of pictures to resize: enlarged, reduced, both at once, one row and column off.
_RESIZE_SHAPES = ((480, 640), (720, 1280), (1080, 1920), (64, 1500), (333, 257))
#: Objects, points, masks, images, whether there is a mask prompt and whether there are memories:
#: one click, several objects that share the image, mask feedback, a mask prompt alone, and the
#: tracking of several objects, with one mask prompt or with none.
_DECODER_CASES = (
    (1, 2, 1, 1, False, False), (3, 3, 1, 1, False, False), (2, 2, 2, 1, True, False),
    (1, 0, 1, 1, True, False), (3, 2, 1, 3, False, True), (2, 1, 2, 2, True, True))
#: Objects, memories and pointers: the frame after a prompt without and with pointers, two objects,
#: full memory.
_MEMORY_CASES = ((1, 1, 0), (2, 1, 5), (1, 2, 1), (1, 7, 16))


@dataclass(frozen=True)
class Tolerance:
    """
    How far a graph may be from PyTorch.

    ``difference``: of any number of an output, in parts of the output's largest one; ``iou``:
    least intersection over union of masks with the official ones.
    """

    difference: float
    iou: float


#: fp32: 1e-5 is seen, the project asks for 1e-4. fp16: 11 bits a number, and the errors of all
#: layers add up to 2e-3.
TOLERANCES = {'fp32': Tolerance(1e-4, 0.999), 'fp16': Tolerance(1e-2, 0.98)}


#: Of a number's own size: what rounding to bfloat16, which has 8 significant bits, may change.
BFLOAT16 = 2.0 ** -8


@dataclass(frozen=True)
class Case:
    """
    Inputs of a graph by name, and the official answer to them, in the order of its outputs.

    ``rounding``: how much of each number's own size the graph's last step may change it by.
    """

    inputs: Arrays
    expected: tuple[NDArray[Any], ...]
    rounding: float = 0.0


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a made-up photograph: light from one side, things with edges, sensor noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    image = np.stack([90 + 80 * x / width, 110 + 60 * y / height, 140 - 50 * x / width], axis=-1)
    for _ in range(8):
        cx, cy = random.uniform(0, width), random.uniform(0, height)
        rx, ry = random.uniform(0.05, 0.25, 2) * (width, height)
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        stripes = 1 + 0.2 * np.sin(x * random.uniform(0.05, 0.5) + y * random.uniform(0.05, 0.5))
        image[inside] = (random.uniform(0, 230, 3) * stripes[..., None])[inside]
    noisy = image + random.normal(0, 4, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def resize_cases(image_size: int) -> list[Case]:
    """Pictures of several shapes, and what PyTorch makes of them at the model's size."""
    cases = []
    for seed, (height, width) in enumerate(_RESIZE_SHAPES):
        image = picture(height, width, seed)[None]
        pixels = torch.from_numpy(image).permute(0, 3, 1, 2).float()
        resized = torch.nn.functional.interpolate(
            pixels, (image_size, image_size), mode='bilinear', antialias=True)
        cases.append(Case({'image': image}, (resized.permute(0, 2, 3, 1).numpy(),)))
    return cases


def encoder_cases(model: SAM2Base) -> list[Case]:
    """Return one picture and the official image encoder's features of it."""
    image = picture(model.image_size, model.image_size)[None].astype(np.float32)
    return [Case({'image': image}, _numpy(reference.encode(model, torch.from_numpy(image))))]


def decoder_cases(model: SAM2Base, features: Sequence[NDArray[Any]]) -> list[Case]:
    """Prompts of every form on a picture's ``features``, and the official decoder's answers."""
    return [_decoder_case(model, features, *numbers) for numbers in _DECODER_CASES]


def _decoder_case(
        model: SAM2Base, features: Sequence[NDArray[Any]], objects: int, points: int, masks: int,
        images: int, has_mask: bool, has_memory: bool) -> Case:
    random = np.random.default_rng([objects, points, masks])
    side = mask_size(model)
    shape = (objects, points)
    labels = random.integers(0, 4, shape, dtype=np.int32)
    labels[:, -1:] = -1
    mask_input = _blobs(random, masks, side) if has_mask else np.zeros((masks, 1, side, side))
    # Another image for each object, as memories make them, and of the same size.
    image_embed = np.concatenate([np.roll(features[0], i, axis=2) for i in range(images)])
    inputs: Arrays = {
        'image_embed': image_embed, 'high_res_features_0': features[1],
        'high_res_features_1': features[2],
        'point_coords': random.uniform(0, model.image_size, (*shape, 2)).astype(np.float32),
        'point_labels': labels, 'mask_input': mask_input.astype(np.float32),
        'has_mask_input': np.full(masks, has_mask, np.float32),
        'memory_conditioned': np.full(1, has_memory, np.float32)}
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    expected = reference.decode(
        model, (tensors['image_embed'], tensors['high_res_features_0'],
                tensors['high_res_features_1']),
        tensors['point_coords'], tensors['point_labels'],
        tensors['mask_input'] if has_mask else None, has_memory)
    return Case(inputs, _numpy(expected))


def memory_encoder_cases(model: SAM2Base, image_embed: NDArray[Any]) -> list[Case]:
    """Masks that were and were not prompted, of objects that are and are not there."""
    return [
        _memory_encoder_case(model, image_embed, np.array(scores, np.float32), np.array(prompted))
        for scores, prompted in (([4], [1]), ([4], [0]), ([-3, 5, 2], [0, 1, 0]))]


def _memory_encoder_case(
        model: SAM2Base, image_embed: NDArray[Any], scores: NDArray[np.float32],
        prompted: NDArray[Any]) -> Case:
    random = np.random.default_rng([len(scores), *prompted])
    inputs: Arrays = {
        'image_embed': image_embed,
        'masks': _blobs(random, len(scores), mask_size(model)).astype(np.float32),
        'object_score_logits': scores[:, None], 'is_prompted': prompted.astype(np.float32)}
    expected = reference.encode_memory(model, *map(torch.from_numpy, inputs.values()))
    return Case(inputs, (expected.numpy(),), BFLOAT16)


def memory_attention_cases(
        model: SAM2Base, image_embed: NDArray[Any], memories: NDArray[Any]) -> list[Case]:
    """Memories [count, P, D] in several numbers, and the image as the official model sees it."""
    return [memory_attention_case(model, image_embed, memories, *numbers)
            for numbers in _MEMORY_CASES]


def memory_attention_case(
        model: SAM2Base, image_embed: NDArray[Any], memories: NDArray[Any], objects: int,
        count: int, pointers: int) -> Case:
    """``count`` of the memories [..., P, D] for each object, at random times, and the answer."""
    random = np.random.default_rng([objects, count, pointers])
    steps = random.integers(0, model.num_maskmem, (objects, count))
    steps[:, 0] = 0
    inputs: Arrays = {
        'image_embed': image_embed,
        'memory_features': memories[random.integers(0, len(memories), (objects, count))],
        'memory_steps': steps,
        'object_pointers': random.normal(
            0, 1, (objects, pointers, model.hidden_dim)).astype(np.float32),
        'pointer_steps': random.integers(1, 40, (objects, pointers)).astype(np.float32)}
    expected = reference.attend(model, *map(torch.from_numpy, inputs.values()))
    return Case(inputs, (expected.numpy(),))


def mask_prompt_cases(model: SAM2Base) -> list[Case]:
    """Masks of several shapes, and what the official model makes of them."""
    side = model.image_size
    masks = [_clear_mask(height, width, side)
             for height, width in (*_RESIZE_SHAPES, (side, side))]
    return [Case({'mask': mask}, _numpy(
        reference.prompt_with_mask(model, torch.from_numpy(mask)))) for mask in masks]


def _clear_mask(height: int, width: int, side: int) -> NDArray[np.uint8]:
    """Return a mask that has no pixel near one half when scaled: rounding would decide there."""
    random = np.random.default_rng([height, width])
    y, x = np.mgrid[0:height, 0:width] / np.reshape((height, width), (2, 1, 1))
    while True:
        centre, radius = random.uniform(0.3, 0.7, 2), random.uniform(0.1, 0.3, 2)
        mask = ((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2 < 1
        scaled = torch.nn.functional.interpolate(
            torch.from_numpy(mask)[None, None].float(), (side, side), mode='bilinear',
            antialias=True)
        if (scaled - 0.5).abs().min() > 2 * RESIZE_TOLERANCE:
            return mask.astype(np.uint8)


def _blobs(random: np.random.Generator, count: int, side: int) -> NDArray[np.float64]:
    """Mask logits as a decoder gives them: a blob each, clamped to +-32."""
    y, x = np.mgrid[0:side, 0:side] / side
    centres = random.uniform(0.3, 0.7, (count, 2, 1, 1))
    distance = np.hypot(x - centres[:, 0], y - centres[:, 1])
    return np.clip(100 * (0.25 - distance), -32, 32)[:, None]


def run_graph(
        model: onnx.ModelProto | Path, cases: Sequence[Arrays]) -> list[list[NDArray[Any]]]:
    """Return the answers of a graph to each of ``cases``, on the CPU."""
    if isinstance(model, onnx.ModelProto):
        # Through a file: a session from bytes keeps a second copy of all weights.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / 'graph.onnx'
            onnx.save(model, file)
            return run_graph(file, cases)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # Errors only: what it would warn of, the check measures.
    session = onnxruntime.InferenceSession(
        str(model), options, providers=['CPUExecutionProvider'])
    return [session.run(None, inputs) for inputs in cases]


def relative_difference(
        found: NDArray[Any], expected: NDArray[Any], rounding: float = 0.0) -> float:
    """
    Largest difference of two arrays in parts of the largest expected value; NaN if any is.

    :param rounding: what part of itself each expected number may be off without being counted.
    """
    if found.shape != expected.shape:
        raise ExportError(f'a graph gives shape {found.shape} where {expected.shape} is expected')
    scale = float(np.abs(expected).max(initial=1e-6))
    differences = np.abs(found.astype(np.float64) - expected) - rounding * np.abs(expected)
    return float(differences.max(initial=0.0)) / scale


def check_graph(
        name: str, file: Path, cases: Sequence[Case], outputs: Sequence[str],
        tolerance: Tolerance) -> float:
    """
    Check an ONNX file against the official answers; return the largest relative difference.

    :param outputs: names of the graph's outputs.
    :raises ExportError: ``onnx.checker`` refuses the file, it does not run, or it differs by more
        than ``tolerance``.
    """
    try:
        onnx.checker.check_model(str(file), full_check=True)
        answers = run_graph(file, [case.inputs for case in cases])
    except Exception as error:  # of ONNX and ONNX Runtime, which share no class of errors
        raise ExportError(
            f'{name}: the exported graph is not usable: {first_line(error)[:200]}') from None
    return max(
        _check_output(
            f'{name}, case {number}, output "{output}"', found, expected, tolerance, case.rounding)
        for number, (answer, case) in enumerate(zip(answers, cases, strict=True), 1)
        for output, found, expected in zip(outputs, answer, case.expected, strict=True))


def _check_output(
        where: str, found: NDArray[Any], expected: NDArray[Any], tolerance: Tolerance,
        rounding: float) -> float:
    difference = relative_difference(found, expected, rounding)
    advice = 'Try another --opset, or --precision fp32'
    if not difference <= tolerance.difference:  # NaN is not either
        raise ExportError(
            f'{where}: differs from PyTorch by {difference:.1e} of the largest value, allowed are '
            f'{tolerance.difference:.0e}; nothing was written. {advice}')
    if where.endswith('"masks"') and not (iou := mask_iou(found, expected)) >= tolerance.iou:
        raise ExportError(
            f'{where}: intersection over union with the masks of PyTorch is {iou:.4f}, wanted are '
            f'{tolerance.iou}; nothing was written. {advice}')
    return difference


def mask_iou(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Intersection over union of where two stacks of mask logits are positive."""
    first, second = found > 0, expected > 0
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def _numpy(tensors: Sequence[Tensor]) -> tuple[NDArray[Any], ...]:
    return tuple(tensor.numpy() for tensor in tensors)
