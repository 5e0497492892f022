# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks as one picture of numbered regions: small as PNG, and exact where masks overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def label_map(masks: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """
    Return the regions that masks cut a picture, or a clip, into.

    :param masks: bool [N, ...].
    :return: labels uint8 [...], 0 where there is no mask, and the labels that each mask is made of.
    :raises ValueError: more than 255 regions.
    """
    labels = np.zeros(masks.shape[1:], np.intp)
    # Of each region: the masks that it lies in, and its pixels.
    members: list[list[int]] = [[]]
    pixels = [labels.size]
    for index, mask in enumerate(masks):
        inside = np.bincount(labels[mask], minlength=len(members))
        for region in np.flatnonzero(inside).tolist():
            if region and inside[region] == pixels[region]:
                members[region].append(index)
                continue
            labels[mask & (labels == region)] = len(members)
            members.append([*members[region], index])
            pixels.append(int(inside[region]))
            pixels[region] -= int(inside[region])
    if len(members) > 256:
        raise ValueError(f'{len(members) - 1} regions: a label map has 255 or less')
    regions: list[list[int]] = [[] for _ in masks]
    for region, owners in enumerate(members):
        for owner in owners:
            regions[owner].append(region)
    return labels.astype(np.uint8), regions


def masks_of(
    labels: NDArray[np.uint8], regions: Sequence[Sequence[int]],
) -> NDArray[np.bool_]:
    """Return the masks bool [N, ...] of what ``label_map`` returned."""
    masks = np.zeros((len(regions), *labels.shape), bool)
    for mask, own in zip(masks, regions, strict=True):
        member = np.zeros(256, bool)
        member[list(own)] = True
        mask[...] = member[labels]
    return masks
