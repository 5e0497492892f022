# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run a model over a clip as SAM 2 runs at inference, and keep what its losses need.

Follows ``SAM2Train.track_step`` of the official training code, around the same methods of
``SAM2Base`` that inference uses: what is trained is what runs. An image is a clip of one frame.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from sam2_ros.export.configs import MEAN, STD
from sam2_ros.train.simulated_user import LOGIT_LIMIT, MASK, Dialogue


@dataclass(frozen=True)
class Clip:
    """
    Objects and the pictures that they are on; T frames, B objects, K pictures.

    Objects of several clips share a batch: a frame's objects can be on different pictures.
    """

    #: uint8 [K,3,S,S], RGB.
    pictures: Tensor
    #: int64 [T,B]: which picture.
    picture_of: Tensor
    #: bool [T,B,S,S]; empty where an object is absent.
    masks: Tensor
    #: Number of each frame in its video, rising, the first 0; frames can be left out.
    numbers: tuple[int, ...]

    def to(self, device: torch.device) -> Clip:
        """Return the clip on ``device``."""
        return Clip(
            self.pictures.to(device), self.picture_of.to(device), self.masks.to(device),
            self.numbers)

    def objects(self, chosen: slice) -> Clip:
        """Return the clip with some of its objects, on all of its pictures."""
        return Clip(
            self.pictures, self.picture_of[:, chosen], self.masks[:, chosen], self.numbers)


@dataclass(frozen=True)
class Features:
    """What ``SAM2Base._prepare_backbone_features`` gives for K pictures."""

    #: Three levels, [HW,K,C] each; the last is the image embedding.
    levels: list[Tensor]
    positions: list[Tensor]
    sizes: list[tuple[int, int]]

    def of(self, pictures: Tensor) -> tuple[list[Tensor], list[Tensor], list[tuple[int, int]]]:
        """Return the features of ``pictures`` (int64 [B]) as ``track_step`` takes them."""
        return (
            [level[:, pictures] for level in self.levels],
            [position[:, pictures] for position in self.positions], self.sizes)


@dataclass(frozen=True)
class Answer:
    """One call of the mask decoder: all that it predicted, before any choice among it."""

    frame: int
    #: Logits [B,4,M,M]: the single mask, then the three of an ambiguous prompt.
    masks: Tensor
    ious: Tensor
    object_scores: Tensor
    #: Logits [B,1,S,S] of the mask that the model chose; far below 0 where it saw no object.
    chosen: Tensor
    #: Whether the three masks count (else the single one).
    multimask: bool
    #: Whether the prompt alone must tell which object is meant (else memory does).
    prompted: bool


def encode(model: SAM2Base, pictures: Tensor, gradient: bool = True) -> Features:
    """
    Return the features of ``pictures`` (uint8 [K,3,S,S], RGB).

    :param gradient: let the losses reach the image encoder.
    """
    mean, std = (pictures.new_tensor(value, dtype=torch.float32).view(1, 3, 1, 1)
                 for value in (MEAN, STD))
    with torch.set_grad_enabled(gradient and torch.is_grad_enabled()):
        features = model.forward_image((pictures.float() / 255 - mean) / std)
    _, levels, positions, sizes = model._prepare_backbone_features(features)
    return Features(levels, positions, sizes)


def roll_out(
    model: SAM2Base, features: Features, clip: Clip, dialogue: Dialogue,
) -> list[Answer]:
    """
    Track the objects of ``clip`` from their first frame on; return every decoder call.

    The clip's pictures may have another size than the model was built for.
    """
    with _seeing(model, clip.pictures.shape[-1]):
        return _roll_out(model, features, clip, dialogue)


def _roll_out(
    model: SAM2Base, features: Features, clip: Clip, dialogue: Dialogue,
) -> list[Answer]:
    # Pointer times are divided by min(num_frames, max_obj_ptrs_in_encoder) - 1: a short clip must
    # count them as the long videos of inference do.
    num_frames = max(clip.numbers[-1] + 1, model.max_obj_ptrs_in_encoder)
    memory: dict[str, dict[int, Any]] = {'cond_frame_outputs': {}, 'non_cond_frame_outputs': {}}
    answers: list[Answer] = []
    for frame, number in enumerate(clip.numbers):
        masks = clip.masks[frame][:, None]
        levels, positions, sizes = features.of(clip.picture_of[frame])
        points, mask = dialogue.opening(masks) if frame == 0 else (None, None)
        with _recorded_decoder(model) as calls:
            current, outputs, high_res_features, embedding = model._track_step(
                number, frame == 0, levels, positions, sizes, points, mask, memory, num_frames,
                False, None)
            multimask = [mask is None and model._use_multimask(frame == 0, points)]
            chosen = [outputs[4]]
            for _ in range(dialogue.corrections_on(frame)):
                points = dialogue.correction(points, masks, outputs[4])
                multimask.append(model._use_multimask(frame == 0, points))
                outputs = model._forward_sam_heads(
                    embedding, points, outputs[3].detach().clamp(-LOGIT_LIMIT, LOGIT_LIMIT),
                    high_res_features, multimask[-1])
                chosen.append(outputs[4])
        for index, call in enumerate(calls):
            prompted = frame == 0 and dialogue.first != MASK and index == 0
            answers.append(Answer(frame, *call, chosen[index], multimask[index], prompted))
        if frame + 1 == len(clip.numbers):
            break
        _remember(model, memory, number, frame == 0 or points is not None, current, outputs,
                  levels, sizes, points)
    return answers


@contextlib.contextmanager
def _seeing(model: SAM2Base, size: int) -> Iterator[None]:
    """
    Let ``model`` see pictures of ``size`` x ``size`` pixels, whichever it was built for.

    No weight depends on the size; position embeddings are scaled, and rotary tables computed
    anew, by the modules themselves.
    """
    prompts = model.sam_prompt_encoder
    side = size // model.backbone_stride
    changes: list[tuple[Any, str, Any]] = [
        (model, 'image_size', size), (model, 'sam_image_embedding_size', side),
        (prompts, 'input_image_size', (size, size)),
        (prompts, 'image_embedding_size', (side, side)),
        (prompts, 'mask_input_size', (4 * side, 4 * side))]
    before = [getattr(module, name) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(changes, before, strict=True):
            setattr(module, name, value)


def _remember(
    model: SAM2Base, memory: dict[str, dict[int, Any]], number: int, conditioning: bool,
    current: dict[str, Any], outputs: tuple[Tensor, ...], levels: list[Tensor],
    sizes: list[tuple[int, int]], points: dict[str, Tensor] | None,
) -> None:
    """Encode a frame's outputs into the memory bank, as the end of ``track_step`` does."""
    _, _, _, low_res, high_res, pointer, object_score = outputs
    current.update(pred_masks=low_res, pred_masks_high_res=high_res, obj_ptr=pointer)
    model._encode_memory_in_output(
        levels, sizes, points, True, high_res, object_score, current)
    kind = 'cond_frame_outputs' if conditioning else 'non_cond_frame_outputs'
    memory[kind][number] = current


@contextlib.contextmanager
def _recorded_decoder(model: SAM2Base) -> Iterator[list[tuple[Tensor, Tensor, Tensor]]]:
    """
    Collect masks, IoU predictions and object scores of every call of the mask decoder.

    What leaves the model are the masks that it chose, erased where it believes the object
    absent: a wrong belief would leave no gradient to the masks.
    """
    decoder = model.sam_mask_decoder
    predict = decoder.predict_masks
    calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def recording(**inputs: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        masks, ious, tokens, object_scores = predict(**inputs)
        calls.append((masks.float(), ious.float(), object_scores.float()))
        return masks, ious, tokens, object_scores

    decoder.predict_masks = recording
    try:
        yield calls
    finally:
        del decoder.predict_masks
