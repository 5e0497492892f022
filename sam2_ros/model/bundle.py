# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bundle, the one format between layers: a folder with a manifest and the graphs it names."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_ros.model.errors import BundleError

FORMAT_VERSION = 2
MANIFEST_NAME = 'manifest.json'
PRECISIONS = ('fp32', 'fp16')
#: Graphs without which no image can be segmented.
IMAGE_GRAPHS = ('image_resize', 'image_encoder', 'image_decoder')

#: Graphs without which nothing can be tracked; a bundle has all of them or none.
TRACKING_GRAPHS = ('memory_attention', 'memory_encoder', 'mask_prompt')

_FEATURES = ('image_embed', 'high_res_features_0', 'high_res_features_1')
#: Names of the inputs and outputs of each graph.
_TENSORS = {
    'image_resize': (('image',), ('resized',)),
    'image_encoder': (('image',), _FEATURES),
    'image_decoder': (
        (*_FEATURES, 'point_coords', 'point_labels', 'mask_input', 'has_mask_input',
         'memory_conditioned'),
        ('masks', 'iou_predictions', 'object_score_logits', 'object_pointers')),
    'memory_attention': (
        ('image_embed', 'memory_features', 'memory_steps', 'object_pointers', 'pointer_steps'),
        ('conditioned_embed',)),
    'memory_encoder': (
        ('image_embed', 'masks', 'object_score_logits', 'is_prompted'), ('memory_features',)),
    'mask_prompt': (('mask',), ('mask_logits', 'mask_input')),
}
#: Output of a graph, input of a graph that it becomes, and how many last dimensions agree.
_FLOWS = (
    ('image_resize', 'resized', 'image_encoder', 'image', 3),
    *(('image_encoder', name, 'image_decoder', name, 3) for name in _FEATURES),
    ('image_decoder', 'masks', 'image_decoder', 'mask_input', 2),
    ('image_encoder', 'image_embed', 'memory_attention', 'image_embed', 3),
    ('image_encoder', 'image_embed', 'memory_encoder', 'image_embed', 3),
    ('image_decoder', 'masks', 'memory_encoder', 'masks', 2),
    ('image_decoder', 'object_pointers', 'memory_attention', 'object_pointers', 1),
    ('memory_encoder', 'memory_features', 'memory_attention', 'memory_features', 2),
    ('memory_attention', 'conditioned_embed', 'image_decoder', 'image_embed', 3),
    ('mask_prompt', 'mask_logits', 'memory_encoder', 'masks', 2),
    ('mask_prompt', 'mask_input', 'image_decoder', 'mask_input', 2),
)
_DTYPES = ('float32', 'float16', 'uint8', 'int32', 'int64')
_HASH_BLOCK = 1 << 20


@dataclass(frozen=True)
class TensorInfo:
    """
    An input or output of a graph.

    ``shape`` holds an int for a fixed dimension and its name for a dynamic one; ``dtype`` is
    NumPy's name of the element type.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str


@dataclass(frozen=True)
class GraphInfo:
    """An ONNX file of the bundle: its name in the folder, its SHA-256, its inputs and outputs."""

    file: str
    sha256: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class Constants:
    """
    What the host needs to know beside the graphs.

    ``mask_threshold``: logits above it are the object; ``mask_size``: side of the low-resolution
    masks; ``stability_delta`` and ``stability_threshold``: when a single mask counts as unstable
    and gives way to the best of three, if ``dynamic_multimask_via_stability``
    (``sam2.modeling.sam.mask_decoder.MaskDecoder``).
    """

    mask_threshold: float
    mask_size: int
    dynamic_multimask_via_stability: bool
    stability_delta: float
    stability_threshold: float


@dataclass(frozen=True)
class Tracking:
    """
    What the host needs to know to track, beside the graphs; names as in ``SAM2Base``.

    ``num_maskmem``: memories of a frame, of which one is for prompted frames;
    ``max_object_pointers``: pointers of recent frames (``max_obj_ptrs_in_encoder``);
    ``max_cond_frames_in_attn``: prompted frames that are attended to, None for all;
    ``memory_temporal_stride``: frames between two memories; ``multimask_*``: when three masks are
    asked for (``SAM2Base._use_multimask``), points counted as ``min_points`` to ``max_points``;
    ``use_multimask_token_for_pointer``: the pointer is that of the chosen mask and not of the
    first; ``fill_hole_area``: holes of up to so many pixels of a low-resolution mask are filled.
    """

    num_maskmem: int
    max_object_pointers: int
    max_cond_frames_in_attn: int | None
    memory_temporal_stride: int
    multimask_output_in_sam: bool
    multimask_output_for_tracking: bool
    multimask_min_points: int
    multimask_max_points: int
    use_multimask_token_for_pointer: bool
    fill_hole_area: int


@dataclass(frozen=True)
class Manifest:
    """
    Everything known of a bundle.

    ``mean`` and ``std`` (RGB, of pixels in 0..1) are already inside the image encoder and stand
    here for the reader. ``trained`` is false for random weights. ``tracking`` is None for a bundle
    that can only segment images.
    """

    format_version: int
    model: str
    trained: bool
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    precision: str
    opset: int
    graphs: dict[str, GraphInfo]
    constants: Constants
    tracking: Tracking | None
    provenance: dict[str, Any]

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        return json.dumps(dataclasses.asdict(self), indent=2) + '\n'

    @staticmethod
    def from_json(text: str, where: Path) -> Manifest:
        """
        Read the text of a manifest; ``where`` is its file, for messages.

        :raises BundleError: not JSON, of another format version, a key missing, unknown or of the
            wrong type.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(
                f'{where}: not valid JSON ({error}); export the bundle again') from None
        return _manifest_from(document, where)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest and files have been checked."""

    path: Path
    manifest: Manifest

    @staticmethod
    def load(path: str | Path) -> Bundle:
        """
        Read the manifest in folder ``path`` and check every graph file against its SHA-256.

        :raises BundleError: naming the file and the reason, if anything is missing or not as the
            manifest says.
        """
        folder = _find_folder(path)
        manifest = _read_manifest(folder / MANIFEST_NAME)
        _check_graphs(manifest, folder / MANIFEST_NAME)
        _check_sizes(manifest, folder / MANIFEST_NAME)
        _check_flows(manifest, folder / MANIFEST_NAME)
        for graph in manifest.graphs.values():
            _check_file(folder / graph.file, graph.sha256)
        return Bundle(folder, manifest)

    @property
    def can_track(self) -> bool:
        """Say whether the bundle has what tracking needs."""
        return self.manifest.tracking is not None

    def graph_path(self, name: str) -> Path:
        """Return the ONNX file of graph ``name``; :raises BundleError: the bundle has none such."""
        if name not in self.manifest.graphs:
            raise BundleError(f'{self.path}: the bundle has no graph "{name}"')
        return self.path / self.manifest.graphs[name].file

    @property
    def size_bytes(self) -> int:
        """Size of all graph files on disk, in bytes."""
        return sum(self.graph_path(name).stat().st_size for name in self.manifest.graphs)


def shipped_bundle() -> Path:
    """Return the folder of the bundle that comes with the package: sam2_nano, a small model."""
    return Path(__file__).with_name('sam2_nano')


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file as a hexadecimal string, reading it in blocks."""
    digest = hashlib.sha256()
    with file.open('rb') as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _find_folder(path: str | Path) -> Path:
    folder = Path(path)
    try:
        folder = folder.expanduser()
        if folder.is_dir():
            return folder
        what = 'is not a folder' if folder.exists() else 'does not exist'
    except (OSError, RuntimeError) as error:  # no access, name too long, no such ~user
        raise BundleError(f'{folder}: the bundle cannot be read ({error})') from None
    raise BundleError(
        f'{folder}: the bundle {what}; make one with `sam2-ros export --output {folder}`')


def _read_manifest(file: Path) -> Manifest:
    try:
        text = file.read_text(encoding='utf-8')
    except FileNotFoundError:
        raise BundleError(f'{file}: missing; this folder is not a bundle') from None
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f'{file}: cannot be read ({error})') from None
    return Manifest.from_json(text, file)


def _check_graphs(manifest: Manifest, where: Path) -> None:
    """Check that there are the graphs that the host runs, with the inputs and outputs it knows."""
    wanted = IMAGE_GRAPHS if manifest.tracking is None else IMAGE_GRAPHS + TRACKING_GRAPHS
    for name in wanted:
        if name not in manifest.graphs:
            raise BundleError(f'{where}: graph "{name}" is missing')
    for name, graph in manifest.graphs.items():
        if name not in wanted:
            raise BundleError(f'{where}: graph "{name}" is unknown' + (
                ', since tracking is null' if name in TRACKING_GRAPHS else ''))
        for kind, tensors, names in zip(
                ('input', 'output'), (graph.inputs, graph.outputs), _TENSORS[name], strict=True):
            stated = [tensor.name for tensor in tensors]
            for tensor in names:
                if tensor not in stated:
                    raise BundleError(f'{where}: graphs.{name} has no {kind} "{tensor}"')
            for tensor in stated:
                if tensor not in names:
                    raise BundleError(f'{where}: graphs.{name} has an unknown {kind} "{tensor}"')


def _check_flows(manifest: Manifest, where: Path) -> None:
    """Check that what one graph gives is what another takes."""
    for giver, given, taker, taken, dimensions in _FLOWS:
        if giver not in manifest.graphs or taker not in manifest.graphs:
            continue
        output = _tensor(manifest.graphs[giver].outputs, given)
        wanted = _tensor(manifest.graphs[taker].inputs, taken)
        if (output.dtype, output.shape[-dimensions:]) != (
                wanted.dtype, wanted.shape[-dimensions:]):
            raise BundleError(
                f'{where}: graphs.{giver} gives "{given}" as {output.dtype} '
                f'{list(output.shape)}, but graphs.{taker} takes "{taken}" as {wanted.dtype} '
                f'{list(wanted.shape)}')


def _tensor(tensors: tuple[TensorInfo, ...], name: str) -> TensorInfo:
    return next(tensor for tensor in tensors if tensor.name == name)


def _check_sizes(manifest: Manifest, where: Path) -> None:
    """Check that the sizes that the host works with are those of the graphs."""
    picture = (1, manifest.image_size, manifest.image_size, 3)
    mask = (manifest.constants.mask_size,) * 2
    graphs = manifest.graphs
    for graph, kind, tensors, name, shape in (
        ('image_resize', 'output', graphs['image_resize'].outputs, 'resized', picture),
        ('image_decoder', 'input', graphs['image_decoder'].inputs, 'mask_input', mask),
    ):
        stated = _tensor(tensors, name).shape
        if stated[-len(shape):] != shape:
            raise BundleError(
                f'{where}: graphs.{graph} has {kind} "{name}" of shape {list(stated)}, '
                f'which does not fit image_size {manifest.image_size} and mask_size '
                f'{manifest.constants.mask_size}')


def _check_file(file: Path, sha256: str) -> None:
    try:
        if not file.is_file():
            raise BundleError(
                f'{file}: missing, though the manifest names it; export the bundle again')
        found = sha256_of(file)
    except OSError as error:
        raise BundleError(f'{file}: cannot be read ({error})') from None
    if found != sha256:
        raise BundleError(
            f'{file}: damaged, its SHA-256 is {found[:12]}... and not {sha256[:12]}... as the '
            'manifest says; copy or export the bundle again')


def _manifest_from(document: Any, where: Path) -> Manifest:
    reader = _Reader(document, where, 'manifest')
    version = reader.take('format_version', int)
    if version != FORMAT_VERSION:
        raise BundleError(
            f'{where}: format version {version}, but this sam2_ros reads {FORMAT_VERSION}; '
            'export the bundle again with this version')
    graphs = reader.take('graphs', dict)
    manifest = Manifest(
        format_version=version,
        model=reader.take('model', str),
        trained=reader.take('trained', bool),
        image_size=reader.positive('image_size'),
        mean=reader.triple('mean'),
        std=reader.triple('std'),
        precision=reader.one_of('precision', PRECISIONS),
        opset=reader.positive('opset'),
        graphs={name: _graph_from(name, graph, where) for name, graph in graphs.items()},
        constants=_constants_from(reader.take('constants', dict), where),
        tracking=_tracking_from(reader.take('tracking', object), where),
        provenance=reader.take('provenance', dict),
    )
    reader.finish()
    return manifest


def _constants_from(document: Any, where: Path) -> Constants:
    reader = _Reader(document, where, 'constants')
    constants = Constants(
        mask_threshold=reader.number('mask_threshold'),
        mask_size=reader.positive('mask_size'),
        dynamic_multimask_via_stability=reader.take('dynamic_multimask_via_stability', bool),
        stability_delta=reader.number('stability_delta'),
        stability_threshold=reader.number('stability_threshold'),
    )
    reader.finish()
    return constants


def _tracking_from(document: Any, where: Path) -> Tracking | None:
    if document is None:
        return None
    reader = _Reader(document, where, 'tracking')
    tracking = Tracking(
        num_maskmem=reader.positive('num_maskmem'),
        max_object_pointers=reader.positive('max_object_pointers'),
        max_cond_frames_in_attn=reader.positive_or_null('max_cond_frames_in_attn'),
        memory_temporal_stride=reader.positive('memory_temporal_stride'),
        multimask_output_in_sam=reader.take('multimask_output_in_sam', bool),
        multimask_output_for_tracking=reader.take('multimask_output_for_tracking', bool),
        multimask_min_points=reader.not_negative('multimask_min_points'),
        multimask_max_points=reader.not_negative('multimask_max_points'),
        use_multimask_token_for_pointer=reader.take('use_multimask_token_for_pointer', bool),
        fill_hole_area=reader.not_negative('fill_hole_area'),
    )
    reader.finish()
    return tracking


def _graph_from(name: str, document: Any, where: Path) -> GraphInfo:
    reader = _Reader(document, where, f'graphs.{name}')
    file = reader.take('file', str)
    if Path(file).name != file:
        raise BundleError(f'{where}: graphs.{name}.file is "{file}", not a file of this folder')
    graph = GraphInfo(
        file=file,
        sha256=reader.take('sha256', str),
        inputs=_tensors_from(reader.take('inputs', list), where, f'graphs.{name}.inputs'),
        outputs=_tensors_from(reader.take('outputs', list), where, f'graphs.{name}.outputs'),
    )
    reader.finish()
    return graph


def _tensors_from(documents: list[Any], where: Path, key: str) -> tuple[TensorInfo, ...]:
    tensors = []
    for index, document in enumerate(documents):
        reader = _Reader(document, where, f'{key}[{index}]')
        shape = tuple(reader.take('shape', list))
        if not all(isinstance(size, (int, str)) and not isinstance(size, bool) for size in shape):
            raise BundleError(f'{where}: {key}[{index}].shape holds more than numbers and names')
        tensors.append(
            TensorInfo(reader.take('name', str), shape, reader.one_of('dtype', _DTYPES)))
        reader.finish()
    return tuple(tensors)


def _is_number(value: Any) -> bool:
    """Say whether a value of JSON is a number, and one that a float can hold."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


class _Reader:
    """Takes keys out of a JSON object and says which one is missing, wrong or unknown."""

    def __init__(self, document: Any, where: Path, key: str) -> None:
        self._where = where
        self._key = key
        if not isinstance(document, dict):
            raise BundleError(f'{where}: {key} is not a JSON object')
        self._rest = dict(document)

    def take(self, name: str, kind: type) -> Any:
        if name not in self._rest:
            raise BundleError(f'{self._where}: {self._key} lacks "{name}"')
        value = self._rest.pop(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise self._wrong(name, value, f'of type {kind.__name__}')
        return value

    def number(self, name: str) -> float:
        value = self.take(name, object)
        if not _is_number(value):
            raise self._wrong(name, value, 'a finite number')
        return float(value)

    def positive(self, name: str) -> int:
        value: int = self.take(name, int)
        if value <= 0:
            raise self._wrong(name, value, 'a positive number')
        return value

    def positive_or_null(self, name: str) -> int | None:
        if name in self._rest and self._rest[name] is None:
            del self._rest[name]
            return None
        return self.positive(name)

    def not_negative(self, name: str) -> int:
        value: int = self.take(name, int)
        if value < 0:
            raise self._wrong(name, value, 'zero or more')
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value: str = self.take(name, str)
        if value not in choices:
            raise self._wrong(name, value, 'one of ' + ', '.join(choices))
        return value

    def triple(self, name: str) -> tuple[float, float, float]:
        values = self.take(name, list)
        if len(values) != 3 or not all(_is_number(value) for value in values):
            raise self._wrong(name, values, 'three finite numbers')
        return float(values[0]), float(values[1]), float(values[2])

    def finish(self) -> None:
        if self._rest:
            unknown = ', '.join(sorted(self._rest))
            raise BundleError(f'{self._where}: {self._key} has unknown keys: {unknown}')

    def _wrong(self, name: str, value: Any, wanted: str) -> BundleError:
        return BundleError(f'{self._where}: {self._key}.{name} is {value!r}, not {wanted}')
