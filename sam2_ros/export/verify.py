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
#: Objects, points, masks and whether there is a mask prompt: one click, several objects that share
#: the image, mask feedback, a mask prompt alone.
_DECODER_CASES = ((1, 2, 1, False), (3, 3, 1, False), (2, 2, 2, True), (1, 0, 1, True))


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


@dataclass(frozen=True)
class Case:
    """Inputs of a graph by name, and the official answer to them, in the order of its outputs."""

    inputs: Arrays
    expected: tuple[NDArray[Any], ...]


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
        model: SAM2Base, features: Sequence[NDArray[Any]], objects: int, points: int,
        masks: int, has_mask: bool) -> Case:
    random = np.random.default_rng([objects, points, masks])
    side = mask_size(model)
    shape = (objects, points)
    labels = random.integers(0, 4, shape, dtype=np.int32)
    labels[:, -1:] = -1
    mask_input = _blobs(random, masks, side) if has_mask else np.zeros((masks, 1, side, side))
    inputs: Arrays = {
        'image_embed': features[0], 'high_res_features_0': features[1],
        'high_res_features_1': features[2],
        'point_coords': random.uniform(0, model.image_size, (*shape, 2)).astype(np.float32),
        'point_labels': labels, 'mask_input': mask_input.astype(np.float32),
        'has_mask_input': np.full(masks, has_mask, np.float32)}
    torch_features = tuple(torch.from_numpy(feature) for feature in features)
    expected = reference.decode(
        model, (torch_features[0], torch_features[1], torch_features[2]),
        torch.from_numpy(inputs['point_coords']), torch.from_numpy(labels),
        torch.from_numpy(inputs['mask_input']) if has_mask else None)
    return Case(inputs, _numpy(expected))


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


def relative_difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest difference of two arrays in parts of the largest expected value; NaN if any is."""
    if found.shape != expected.shape:
        raise ExportError(f'a graph gives shape {found.shape} where {expected.shape} is expected')
    scale = float(np.abs(expected).max(initial=1e-6))
    return float(np.abs(found.astype(np.float64) - expected).max(initial=0.0)) / scale


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
        _check_output(f'{name}, case {number}, output "{output}"', found, expected, tolerance)
        for number, (answer, case) in enumerate(zip(answers, cases, strict=True), 1)
        for output, found, expected in zip(outputs, answer, case.expected, strict=True))


def _check_output(
        where: str, found: NDArray[Any], expected: NDArray[Any],
        tolerance: Tolerance) -> float:
    difference = relative_difference(found, expected)
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
