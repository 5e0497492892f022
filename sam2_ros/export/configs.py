# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How each model is built, with weights from a checkpoint or at random."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from sam2.modeling.sam2_base import SAM2Base

from sam2_ros.export.errors import ExportError
from sam2_ros.export.options import Variant, checked_image_size, find_variant
from sam2_ros.model.errors import first_line

#: Of pixels in 0..1, RGB; ``sam2.utils.transforms.SAM2Transforms`` for every SAM 2 model.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
#: Logits above it are the object; default of ``sam2.sam2_image_predictor.SAM2ImagePredictor``.
MASK_THRESHOLD = 0.0
#: Pixels; what ``sam2.build_sam.build_sam2_video_predictor`` sets.
FILL_HOLE_AREA = 8

#: What ``sam2.build_sam.build_sam2`` overrides with ``apply_postprocessing=True``, its default.
_POSTPROCESSING = {
    'dynamic_multimask_via_stability': True,
    'dynamic_multimask_stability_delta': 0.05,
    'dynamic_multimask_stability_thresh': 0.98,
}
#: Spread of the noise on parameters that SAM 2 starts as constants (see ``random_model``).
_NOISE = 0.02


def random_model(name: str, image_size: int | None = None, seed: int = 0) -> SAM2Base:
    """
    Return model ``name`` with random weights, in evaluation mode, the same for the same ``seed``.

    SAM 2 starts position embeddings at zero and normalisations at identity. They get a little
    noise here: otherwise no test could see whether an export loses them.

    :raises ExportError: unknown name, or an image size that the model cannot have.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _instantiate(name, image_size)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.numel() > 1 and bool((parameter == parameter.flatten()[0]).all()):
                    parameter.add_(_NOISE * torch.randn_like(parameter))
    return model


def load_model(name: str, checkpoint: Path, image_size: int | None = None) -> SAM2Base:
    """
    Return model ``name`` with the weights of ``checkpoint``, float32, in evaluation mode.

    ``checkpoint`` is a file as SAM 2 publishes it: ``{'model': state_dict}``, any float type.

    :raises ExportError: unknown name or image size, a file that is missing, damaged or no such
        checkpoint, or weights whose names or shapes are not this model's.
    """
    model = _instantiate(name, image_size)
    weights = _read_checkpoint(checkpoint)
    _check_weights(name, model, weights, checkpoint)
    model.load_state_dict({key: value.float() for key, value in weights.items()})
    return model


def _instantiate(name: str, image_size: int | None) -> SAM2Base:
    config = _config(find_variant(name), checked_image_size(name, image_size))
    model: SAM2Base = instantiate(config.model, _recursive_=True)
    return model.eval()


def _config(variant: Variant, image_size: int) -> DictConfig:
    text = resources.files(variant.package).joinpath(variant.config).read_text(encoding='utf-8')
    config = OmegaConf.create(text)
    assert isinstance(config, DictConfig)
    stride = config.model.get('backbone_stride', 16)
    side = image_size // stride
    layer = 'model.memory_attention.layer'
    overrides: dict[str, Any] = {
        'model.image_size': image_size,
        # Tables of the rotary position encoding; the prompt encoder's sizes follow by themselves.
        f'{layer}.self_attention.feat_sizes': [side, side],
        f'{layer}.cross_attention.feat_sizes': [side, side],
        'model.sam_mask_decoder_extra_args': _POSTPROCESSING,
    }
    for key, value in overrides.items():
        OmegaConf.update(config, key, value, force_add=True)
    return config


def _read_checkpoint(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        raise ExportError(
            f'{file}: no such file; `sam2-ros checkpoints` lists what can be downloaded')
    try:
        document = torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:  # Its unpickler raises what the bytes make it raise.
        raise ExportError(
            f'{file}: cannot be read as a PyTorch checkpoint; it is damaged, incomplete or '
            f'something else: {first_line(error)[:120]}') from None
    weights = document.get('model') if isinstance(document, dict) else None
    if not isinstance(weights, dict) or not all(
            isinstance(value, torch.Tensor) for value in weights.values()):
        raise ExportError(
            f'{file}: a PyTorch file, but no SAM 2 checkpoint: it has no weights under "model"')
    return weights


def _check_weights(
        name: str, model: SAM2Base, weights: dict[str, torch.Tensor], file: Path) -> None:
    wanted = model.state_dict()
    missing = [key for key in wanted if key not in weights]
    unknown = [key for key in weights if key not in wanted]
    different = [
        key for key in wanted if key in weights and wanted[key].shape != weights[key].shape]
    problems = [
        f'{count} {what}, the first "{keys[0]}"{detail}' for count, what, keys, detail in (
            (len(missing), 'missing', missing, ''),
            (len(unknown), 'unknown', unknown, ''),
            (len(different), 'of another shape', different, _shapes(different, wanted, weights)),
        ) if count]
    if problems:
        raise ExportError(
            f'{file}: its weights are not those of {name} ({"; ".join(problems)}); name the model '
            'that the checkpoint was made for with --model')


def _shapes(
        keys: list[str], wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> str:
    if not keys:
        return ''
    return f': {list(found[keys[0]].shape)} instead of {list(wanted[keys[0]].shape)}'
