# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person who prompts an object, looks at the answer, and corrects it, as training needs one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sam2.modeling.sam2_utils import get_next_point, sample_box_points
from torch import Tensor

#: Which prompt opens the dialogue.
CLICK, BOX, MASK = 'click', 'box', 'mask'
#: What a SAM 2 decoder takes as the logits of an earlier answer; the predictors clamp to it.
LOGIT_LIMIT = 32.0


@dataclass(frozen=True)
class Dialogue:
    """How the objects of a batch are prompted; the same for all, as they share decoder calls."""

    first: str = CLICK
    #: Corrections on the first frame, one click each.
    corrections: int = 0
    #: A later frame that is corrected too, and the number of its clicks.
    later_frame: int | None = None
    later_corrections: int = 0
    #: Jitter of a box, as a share of its sides.
    box_noise: float = 0.1
    #: Clicks in the middle of a region (as people do), or anywhere in it.
    centred: bool = False

    def corrections_on(self, frame: int) -> int:
        """Return how many corrections ``frame`` (0: the first) gets."""
        if frame == 0:
            return self.corrections
        return self.later_corrections if frame == self.later_frame else 0

    def opening(self, masks: Tensor) -> tuple[dict[str, Tensor] | None, Tensor | None]:
        """
        Return the first prompt, as ``SAM2Base.track_step`` takes points and masks.

        :param masks: the objects, bool [B,1,S,S].
        """
        if self.first == MASK:
            return None, masks.float()
        if self.first == BOX:
            coords, labels = sample_box_points(masks, noise=self.box_noise)
            return {'point_coords': coords, 'point_labels': labels}, None
        return self._click(None, masks, None), None

    def correction(
        self, points: dict[str, Tensor] | None, masks: Tensor, answer: Tensor,
    ) -> dict[str, Tensor]:
        """
        Return the points so far and one more, where the answer is wrong.

        :param points: the points so far, or None.
        :param masks: the objects, bool [B,1,S,S].
        :param answer: mask logits [B,1,S,S].
        """
        return self._click(points, masks, answer.detach() > 0)

    def _click(
        self, points: dict[str, Tensor] | None, masks: Tensor, answer: Tensor | None,
    ) -> dict[str, Tensor]:
        coords, labels = get_next_point(masks, answer, 'center' if self.centred else 'uniform')
        if points is not None:
            coords = torch.cat([points['point_coords'], coords], dim=1)
            labels = torch.cat([points['point_labels'], labels], dim=1)
        return {'point_coords': coords, 'point_labels': labels}
