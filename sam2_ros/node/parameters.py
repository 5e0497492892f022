# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: one table that declares, checks, reads and documents them.

`Settings` is the table and, filled in, a consistent snapshot of the values: a run-time change
replaces the whole snapshot, so the worker never sees half of one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Parameter:
    """What is known of one parameter apart from its value."""

    name: str
    default: Any
    description: str
    read_only: bool
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    @property
    def type_name(self) -> str:
        """Name of the type as ROS 2 prints it: bool, integer, double or string."""
        return {bool: 'bool', int: 'integer', float: 'double', str: 'string'}[type(self.default)]

    @property
    def range_text(self) -> str:
        """Return the allowed values in words; empty when every value of the type is allowed."""
        if self.choices:
            return ', '.join(self.choices)
        if self.minimum is None:
            return ''
        return f'{self.minimum} to {self.maximum}'

    def refusal(self, value: Any) -> str | None:
        """Return why `value` cannot be taken, in one line, or None if it can."""
        if self.choices and value not in self.choices:
            return f"{self.name} is '{value}', it must be one of: {self.range_text}"
        if isinstance(self.default, float) and not math.isfinite(value):
            return f'{self.name} is {value}, it must be a finite number'
        if self.minimum is not None and not self.minimum <= value <= self.maximum:
            return f'{self.name} is {value}, it must be {self.range_text}'
        return None


def _parameter(
    default: Any,
    description: str,
    *,
    read_only: bool = False,
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    minimum, maximum = limits if limits else (None, None)
    return dataclasses.field(
        default=default,
        metadata={
            'description': description,
            'read_only': read_only,
            'minimum': minimum,
            'maximum': maximum,
            'choices': choices,
        },
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    """Values of all parameters at one moment; the fields are the declarations."""

    bundle: str = _parameter(
        '',
        'Folder of the exported model (sam2-ros export). Empty: sam2_nano, the small model that'
        ' comes with the package.',
        read_only=True)
    provider: str = _parameter(
        'auto',
        'ONNX Runtime execution provider. auto takes the best that is available and says which.',
        read_only=True, choices=('auto', 'cpu', 'cuda', 'tensorrt', 'openvino'))
    device_id: int = _parameter(
        0, 'Number of the GPU, for cuda and tensorrt.', read_only=True, limits=(0, 63))
    threads: int = _parameter(
        0, 'CPU threads of the model; 0 = one for each core.', read_only=True, limits=(0, 1024))
    fp16: bool = _parameter(
        False,
        'Let tensorrt or openvino compute in half precision where the bundle says single.',
        read_only=True)
    cache_dir: str = _parameter(
        '',
        'Folder where tensorrt and openvino keep compiled graphs. Empty: engine_cache in the'
        ' folder of the bundle.',
        read_only=True)
    mode: str = _parameter(
        'auto',
        'track: a prompt starts or refines an object, and every image after it is answered.'
        ' prompt: each prompt is answered on its image. auto: track where the bundle can.',
        read_only=True, choices=('auto', 'track', 'prompt'))
    autostart: bool = _parameter(
        True,
        'Configure and activate at start, so that plain ros2 run works. false = a lifecycle'
        ' manager does it.',
        read_only=True)
    image_transport: str = _parameter(
        'raw',
        'raw: image is a sensor_msgs/Image. compressed: it is a sensor_msgs/CompressedImage'
        ' on image/compressed.',
        read_only=True, choices=('raw', 'compressed'))

    encode_ahead: bool = _parameter(
        False,
        'Encode the newest image all the time, so that a prompt costs only the decoder. Prompts'
        ' with stamp zero then mean the newest image that has been encoded.')
    multimask: str = _parameter(
        'auto',
        'For prompts that leave it open: auto gives the best of three masks for a single point and'
        ' one mask for all else.',
        choices=('auto', 'single', 'best_of_three'))
    max_objects: int = _parameter(
        16,
        'Objects at once. One more is refused in mode track; in mode prompt, where objects are'
        ' remembered for refinement, the one prompted the longest time ago is forgotten.',
        limits=(1, 65535))
    memories: int = _parameter(
        -1,
        'Mode track: recent images that an object is remembered on, beside the prompted ones.'
        ' Fewer are faster. -1 = as the model was trained (SAM 2: 6).',
        limits=(-1, 64))
    object_pointers: int = _parameter(
        -1,
        'Mode track: recent images of which the object pointer is remembered. -1 = as the model'
        ' was trained (SAM 2: 16).',
        limits=(-1, 64))
    prompted_frames: int = _parameter(
        0,
        'Mode track: prompted images that an object is remembered on, the newest ones. 0 = all,'
        ' for ever.',
        limits=(0, 1000))
    remember_corrections: bool = _parameter(
        False,
        'Mode track: an image on which a tracked object was refined counts as a prompted one, and'
        ' does not pass out of memory as others do.')
    non_overlapping: bool = _parameter(
        False,
        'Mode track: where masks overlap, a pixel belongs only to the object that is surest of it.')
    fill_hole_area: int = _parameter(
        -1,
        'Mode track: holes of up to so many pixels of the low-resolution mask are filled. -1 = as'
        ' the model does (SAM 2: 8).',
        limits=(-1, 65536))
    lost_after: float = _parameter(
        3.0, 'Mode track: seconds after which an object that is not visible counts as lost.',
        limits=(0.0, 86400.0))
    kept_frames: int = _parameter(
        4,
        'Mode track: the newest tracked images, on which a late prompt can refine an object;'
        ' those after it are then answered again.',
        limits=(1, 100))
    camera_timeout: float = _parameter(
        5.0, 'Seconds without an image after which the camera counts as stopped.',
        limits=(0.1, 3600.0))
    on_camera_return: str = _parameter(
        'keep', 'What becomes of the objects when a stopped camera returns.',
        choices=('keep', 'reset'))
    on_time_jump: str = _parameter(
        'reset',
        'What becomes of the objects when the time of the images jumps back (a bag that loops).',
        choices=('keep', 'reset'))
    time_jump_tolerance: float = _parameter(
        0.5,
        'Images whose stamp lies up to so many seconds before that of the newest are late: they'
        ' are left out and counted. Further back, time has jumped. 0 = every step back is a jump.',
        limits=(0.0, 3600.0))
    on_size_change: str = _parameter(
        'keep',
        'Mode track: what becomes of the objects when the images change their resolution.',
        choices=('keep', 'reset'))
    click_mode: str = _parameter(
        'point',
        'What a click on image_mouse_left or clicked_point means: a point of the object, or a'
        ' corner of its box (two clicks are opposite corners).',
        choices=('point', 'box'))
    click_object_id: int = _parameter(
        0, 'Object that clicks are about. 0 = each click (or box) is a new object.',
        limits=(0, 65535))
    click_refine: bool = _parameter(
        False,
        'Clicks add to what the object was told before instead of starting it anew. With'
        ' click_object_id 0 it is the object prompted last.')
    click_label: str = _parameter(
        'positive',
        'What a clicked point says: it is on the object, or on something that is not the object.',
        choices=('positive', 'negative'))
    image_rectified: bool = _parameter(
        False,
        'The image topic is rectified: clicked_point is projected with P of camera_info. false ='
        ' with K and the distortion D.')
    history_size: int = _parameter(
        15, 'Images kept so that a stamped prompt finds the one it was made on.', limits=(1, 1000))
    stamp_tolerance: float = _parameter(
        0.02,
        'Largest difference in seconds between the stamp of a prompt and that of its image.',
        limits=(0.0, 10.0))
    prompt_timeout: float = _parameter(
        1.0, 'Seconds that a prompt stamped later than the newest image waits for its image.',
        limits=(0.0, 60.0))
    cached_embeddings: int = _parameter(
        2, 'Encoded images kept, so that more prompts on them cost only the decoder.',
        limits=(1, 100))
    overlay_opacity: float = _parameter(
        0.5, 'Opacity of the masks on the overlay: 0 = invisible, 1 = opaque.', limits=(0.0, 1.0))
    overlay_jpeg_quality: int = _parameter(
        80, 'JPEG quality of ~/overlay/compressed.', limits=(1, 100))
    diagnostics_period: float = _parameter(
        1.0, 'Seconds between two diagnostics messages.', limits=(0.1, 60.0))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings with these values, by parameter name; the rest are defaults."""
        names = {parameter.name for parameter in PARAMETERS}
        return cls(**{name: value for name, value in values.items() if name in names})


PARAMETERS: tuple[Parameter, ...] = tuple(
    Parameter(
        name=field.name,
        default=field.default,
        description=field.metadata['description'],
        read_only=field.metadata['read_only'],
        minimum=field.metadata['minimum'],
        maximum=field.metadata['maximum'],
        choices=field.metadata['choices'],
    )
    for field in dataclasses.fields(Settings)
)


def refusal(name: str, value: Any) -> str | None:
    """Return why parameter `name` cannot be `value`; None if it can, or is not in the table."""
    for parameter in PARAMETERS:
        if parameter.name == name:
            return parameter.refusal(value)
    return None
