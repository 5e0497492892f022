# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: what another camera, or another light, would have made of a scene."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.textures import Image, Rng


def augmented(
    rng: Rng, images: Image, masks: NDArray[np.bool_],
) -> tuple[Image, NDArray[np.bool_]]:
    """
    Return a clip, or a picture as a clip of one frame, seen by another camera.

    Cut and zoomed, turned, mirrored, with other colours, blur, noise and JPEG blocks: all frames
    alike but for the noise. An instance may lose part of its mask, or all, at the edges.

    :param images: uint8 [T, H, W, 3], RGB.
    :param masks: bool [T, N, H, W].
    """
    if rng.random() < .5:
        images, masks = images[:, :, ::-1], masks[..., ::-1]
    images, masks = np.ascontiguousarray(images), np.ascontiguousarray(masks)
    if rng.random() < .6:
        images, masks = _zoomed(rng, images, masks)
    table = _tone_curve(rng)
    mixing = _colour_mixing(rng)
    soften = _softening(rng)
    sigma = rng.uniform(1, 12) if rng.random() < .4 else 0
    quality = int(rng.integers(25, 90)) if rng.random() < .3 else 0
    return np.stack([_seen(rng, image, table, mixing, soften, sigma, quality)
                     for image in images]), masks


def _zoomed(
    rng: Rng, images: Image, masks: NDArray[np.bool_],
) -> tuple[Image, NDArray[np.bool_]]:
    """Return a part of the pictures, turned a little; never more than there is of them."""
    height, width = images.shape[1:3]
    angle = rng.normal(0, 8) if rng.random() < .5 else 0.
    turned = abs(np.cos(np.radians(angle))) + abs(np.sin(np.radians(angle)))
    scale = turned * np.exp(rng.uniform(0, .7))
    centre = (width - 1) / 2, (height - 1) / 2
    matrix = np.asarray(cv2.getRotationMatrix2D(centre, angle, scale), np.float64)
    # The part of the picture that is seen may move as far as the rest of it goes.
    room = .5 * (scale / turned - 1)
    matrix[:, 2] += rng.uniform(-room, room, 2) * (width, height)
    moved = [cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        for image in images]
    flat = masks.reshape(-1, height, width).view(np.uint8)
    warped = np.zeros_like(flat)
    for mask, target in zip(flat, warped, strict=True):
        cv2.warpAffine(255 * mask, matrix, (width, height), dst=target, flags=cv2.INTER_LINEAR)
    return np.asarray(np.stack(moved), np.uint8), np.reshape(warped > 127, masks.shape)


def _tone_curve(rng: Rng) -> NDArray[np.uint8]:
    """Return the new value of each of the 256 values: contrast, brightness, gamma."""
    values = np.linspace(0, 1, 256)
    if rng.random() < .7:
        values = values ** np.exp(rng.normal(0, .25))
        values = (values - .5) * rng.uniform(.6, 1.35) + .5 + rng.normal(0, .06)
    return np.clip(255 * values + .5, 0, 255).astype(np.uint8)


def _colour_mixing(rng: Rng) -> NDArray[np.float32]:
    """Return [3, 3] for RGB: another saturation and white balance; sometimes no colour at all."""
    grey = np.full((3, 3), 1 / 3)
    saturation = 0. if rng.random() < .05 else rng.uniform(.5, 1.4)
    balance = np.exp(rng.normal(0, .07, 3))
    mixing = (saturation * np.eye(3) + (1 - saturation) * grey) * balance[:, None]
    if rng.random() < .1:
        mixing = mixing[rng.permutation(3)]
    return mixing.astype(np.float32)


def _softening(rng: Rng) -> NDArray[np.float32] | None:
    """Return the kernel of a blur, out of focus or of motion; None: sharp."""
    if rng.random() < .7:
        return None
    if rng.random() < .6:
        line = cv2.getGaussianKernel(7, rng.uniform(.4, 1.4))
        return np.asarray(line @ line.T, np.float32)
    kernel = np.zeros((7, 7), np.float32)
    angle, reach = rng.uniform(0, np.pi), rng.uniform(1, 3)
    end = np.round(3 + reach * np.array([np.cos(angle), np.sin(angle)])).astype(int)
    cv2.line(kernel, tuple(end.tolist()), tuple((6 - end).tolist()), 1)
    return kernel / kernel.sum()


def _seen(
    rng: Rng, image: Image, table: NDArray[np.uint8], mixing: NDArray[np.float32],
    soften: NDArray[np.float32] | None, sigma: float, quality: int,
) -> Image:
    image = np.asarray(cv2.transform(cv2.LUT(image, table), mixing), np.uint8)
    if soften is not None:
        image = np.asarray(cv2.filter2D(image, -1, soften), np.uint8)
    if sigma:
        noise = rng.standard_normal(image.shape, np.float32)
        image = np.clip(image + np.float32(sigma) * noise, 0, 255).astype(np.uint8)
    if quality:
        content = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)
    return image
