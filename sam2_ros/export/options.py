# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which models there are and what can be asked of an export; needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sam2_ros.export.errors import ExportError
from sam2_ros.model.bundle import PRECISIONS

#: Seen to work in ONNX Runtime; the newest that PyTorch traces to is 20.
OPSETS = (17, 18, 19, 20)
DEFAULT_OPSET = 18
#: The coarsest features have stride 32, and the window position embedding tiles 8 x stride 4.
IMAGE_SIZE_STEP = 32
IMAGE_SIZE_LIMITS = (128, 2048)
#: The checkpoint of sam2_nano that comes with the package; docs/sam2_nano.md says whence.
SHIPPED_CHECKPOINT = Path(__file__).with_name('sam2_nano.pt')


@dataclass(frozen=True)
class Variant:
    """
    A model that can be exported: its config file inside a package, and its own image size.

    ``checkpoint``: its weights, where they come with this package.
    """

    package: str
    config: str
    image_size: int
    checkpoint: Path | None = None


VARIANTS = {
    'sam2.1_tiny': Variant('sam2', 'configs/sam2.1/sam2.1_hiera_t.yaml', 1024),
    'sam2.1_small': Variant('sam2', 'configs/sam2.1/sam2.1_hiera_s.yaml', 1024),
    'sam2.1_base_plus': Variant('sam2', 'configs/sam2.1/sam2.1_hiera_b+.yaml', 1024),
    'sam2.1_large': Variant('sam2', 'configs/sam2.1/sam2.1_hiera_l.yaml', 1024),
    'sam2_tiny': Variant('sam2', 'configs/sam2/sam2_hiera_t.yaml', 1024),
    'sam2_small': Variant('sam2', 'configs/sam2/sam2_hiera_s.yaml', 1024),
    'sam2_base_plus': Variant('sam2', 'configs/sam2/sam2_hiera_b+.yaml', 1024),
    'sam2_large': Variant('sam2', 'configs/sam2/sam2_hiera_l.yaml', 1024),
    'sam2_nano': Variant('sam2_ros.export', 'sam2_nano.yaml', 512, SHIPPED_CHECKPOINT),
}


@dataclass(frozen=True)
class ExportOptions:
    """
    What to export, and where to.

    Without a checkpoint the weights are random, from ``seed``; ``image_only`` leaves out what only
    tracking needs.
    """

    model: str
    output: Path
    checkpoint: Path | None = None
    seed: int = 0
    image_size: int | None = None
    precision: str = 'fp32'
    opset: int = DEFAULT_OPSET
    image_only: bool = False
    force: bool = False

    def check(self) -> None:
        """:raises ExportError: something that no export can do."""
        checked_image_size(self.model, self.image_size)
        if self.opset not in OPSETS:
            raise ExportError(
                f'opset {self.opset} is not possible; choose from {OPSETS[0]} to {OPSETS[-1]}')
        if self.precision not in PRECISIONS:
            raise ExportError(
                f'precision "{self.precision}" is unknown; there are: {", ".join(PRECISIONS)}')


def find_variant(name: str) -> Variant:
    """Return the model called ``name``; :raises ExportError: there is none."""
    if name not in VARIANTS:
        raise ExportError(f'unknown model "{name}"; there are: {", ".join(VARIANTS)}')
    return VARIANTS[name]


def checked_image_size(name: str, image_size: int | None) -> int:
    """Return the image size of model ``name``, its own if None; :raises ExportError: impossible."""
    size = find_variant(name).image_size if image_size is None else image_size
    low, high = IMAGE_SIZE_LIMITS
    if size % IMAGE_SIZE_STEP or not low <= size <= high:
        raise ExportError(
            f'image size {size} is not possible; take a multiple of {IMAGE_SIZE_STEP} from {low} '
            f'to {high}, such as {find_variant(name).image_size}')
    return size
