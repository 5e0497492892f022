# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is trained is what runs: a rollout gives what the official model gives, frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be trained')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be trained')

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from sam2_ros.export.configs import load_model, random_model
from sam2_ros.export.options import SHIPPED_CHECKPOINT
from sam2_ros.train.initialise import initialise_decoder, initialise_memory
from sam2_ros.train.rollout import Clip, encode, roll_out
from sam2_ros.train.simulated_user import BOX, CLICK, MASK, Dialogue
from sam2_ros.train.tasks import ShotSource, joined

NUMBERS = (0, 1, 5, 6)


@pytest.fixture(scope='module')
def model() -> SAM2Base:
    return random_model('sam2_nano', image_size=128, seed=1)


@pytest.fixture(scope='module')
def clip(squares: ShotSource) -> Clip:
    return joined([squares.draw(np.random.default_rng(seed), NUMBERS) for seed in (0, 1)])


@torch.no_grad()
def official_masks(model: SAM2Base, clip: Clip, dialogue: Dialogue) -> list[Tensor]:
    """Return the mask logits [B,1,S,S] of every frame, by ``track_step`` alone."""
    memory: dict[str, dict[int, Any]] = {'cond_frame_outputs': {}, 'non_cond_frame_outputs': {}}
    features = encode(model, clip.pictures)
    masks = []
    for frame, number in enumerate(clip.numbers):
        points, mask = dialogue.opening(clip.masks[0][:, None]) if frame == 0 else (None, None)
        output = model.track_step(
            number, frame == 0, *features.of(clip.picture_of[frame]), points, mask, memory,
            num_frames=100)
        memory['cond_frame_outputs' if frame == 0 else 'non_cond_frame_outputs'][number] = output
        masks.append(output['pred_masks_high_res'])
    return masks


@pytest.mark.parametrize('first', [CLICK, BOX, MASK])
def test_a_rollout_is_what_track_step_gives(model: SAM2Base, clip: Clip, first: str) -> None:
    dialogue = Dialogue(first, centred=True, box_noise=0.0)

    with torch.no_grad():
        answers = roll_out(model, encode(model, clip.pictures), clip, dialogue)
    official = official_masks(model, clip, dialogue)

    assert [answer.frame for answer in answers] == [0, 1, 2, 3]
    assert any(bool((mask > 0).any()) for mask in official[1:])
    for answer, mask in zip(answers[1:], official[1:], strict=True):
        torch.testing.assert_close(answer.chosen, mask, atol=1e-4, rtol=1e-4)


def test_corrections_are_further_calls_with_more_clicks(model: SAM2Base, clip: Clip) -> None:
    dialogue = Dialogue(CLICK, corrections=2, later_frame=2, later_corrections=1)

    with torch.no_grad():
        answers = roll_out(model, encode(model, clip.pictures), clip, dialogue)

    assert [answer.frame for answer in answers] == [0, 0, 0, 1, 2, 2, 3]
    # one point or none: three masks; more: the single one
    assert [answer.multimask for answer in answers] == [True, False, False, True, True, True, True]
    assert [answer.prompted for answer in answers] == [True] + 6 * [False]


def test_the_decoder_is_left_as_it_was(model: SAM2Base, clip: Clip) -> None:
    before = dict(vars(model.sam_mask_decoder))

    with torch.no_grad():
        roll_out(model, encode(model, clip.pictures), clip, Dialogue())

    assert vars(model.sam_mask_decoder).keys() == before.keys()


def test_losses_reach_memory_and_pointers(model: SAM2Base, clip: Clip) -> None:
    model.zero_grad()
    answers = roll_out(model, encode(model, clip.pictures), clip, Dialogue())

    answers[-1].masks.mean().backward()

    # pointers of absent objects are replaced, so weights of random models may do without them
    for name in ('memory_attention.layers.0.cross_attn_image.q_proj.weight',
                 'memory_encoder.out_proj.weight', 'maskmem_tpos_enc',
                 'image_encoder.trunk.patch_embed.proj.weight'):
        gradient = model.get_parameter(name).grad
        assert gradient is not None, name
        assert bool(gradient.any()), name


def test_features_without_gradient_leave_the_encoder_alone(model: SAM2Base, clip: Clip) -> None:
    assert not encode(model, clip.pictures, gradient=False).levels[-1].requires_grad
    assert encode(model, clip.pictures).levels[-1].requires_grad


def test_prepared_memory_attention_gives_nearly_the_embedding(clip: Clip) -> None:
    model = load_model('sam2_nano', SHIPPED_CHECKPOINT, image_size=128)
    initialise_memory(model, clip.pictures)
    features = encode(model, clip.pictures)
    level, position = features.levels[-1], features.positions[-1]
    seen = (level[:, :1] + model.no_mem_embed).detach()

    with torch.no_grad():
        memory = 0.1 * torch.randn(64, 1, model.mem_dim)
        conditioned = model.memory_attention(
            curr=[level[:, :1]], curr_pos=[position[:, :1]], memory=memory,
            memory_pos=torch.zeros_like(memory))

    likeness = torch.corrcoef(torch.stack([conditioned.flatten(), seen.flatten()]))[0, 1]
    assert float(likeness) > 0.9
    assert float(conditioned.std() / seen.std()) == pytest.approx(1, abs=0.2)


@torch.no_grad()
def test_a_prepared_decoder_looks_where_the_click_is() -> None:
    model = random_model('sam2_nano', image_size=128, seed=2)
    initialise_decoder(model)
    attention = model.sam_mask_decoder.transformer.final_attn_token_to_image
    places = model.sam_prompt_encoder.get_dense_pe().flatten(2)[0].T  # [64,C], 8 rows of 8
    click = model.sam_prompt_encoder.pe_layer.forward_with_coords(
        torch.tensor([[[5.5 * 16, 2.5 * 16]]]), (128, 128))[0]

    likeness = attention.q_proj(click) @ attention.k_proj(places).T

    assert int(likeness.argmax()) == 2 * 8 + 5


@torch.no_grad()
def test_pictures_may_have_another_size_than_the_model_was_built_for(
    model: SAM2Base, clip: Clip,
) -> None:
    size = clip.pictures.shape[-1]
    other = random_model('sam2_nano', image_size=2 * size)
    other.load_state_dict(model.state_dict())
    other.eval()

    ours, theirs = (
        roll_out(one, encode(one, clip.pictures), clip, Dialogue(centred=True))
        for one in (other, model.eval()))

    for answer, expected in zip(ours, theirs, strict=True):
        assert answer.masks.shape == expected.masks.shape
        assert torch.equal(answer.masks, expected.masks)
    assert other.image_size == 2 * size
    assert other.sam_prompt_encoder.input_image_size == (2 * size, 2 * size)
