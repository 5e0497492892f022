# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline from weights to a checked bundle."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base

import sam2_ros
from sam2_ros.export import configs, resizing, trace, verify
from sam2_ros.export.errors import ExportError
from sam2_ros.export.half import HALF_GRAPHS, to_half
from sam2_ros.export.image_decoder import ImageDecoder
from sam2_ros.export.image_encoder import ImageEncoder
from sam2_ros.export.memory_attention import MemoryAttention
from sam2_ros.export.memory_encoder import MemoryEncoder
from sam2_ros.export.options import ExportOptions
from sam2_ros.export.simplify import simplify
from sam2_ros.export.trace import Signature
from sam2_ros.export.verify import Case, Tolerance
from sam2_ros.export.weights import store_in_half
from sam2_ros.model.bundle import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    Bundle,
    Constants,
    GraphInfo,
    Manifest,
    Tracking,
    sha256_of,
)


def export_bundle(
        options: ExportOptions, write: Callable[[str], None] = lambda text: None) -> Bundle:
    """
    Export a bundle to ``options.output``; ``write`` receives the text of the progress lines.

    The bundle is made and checked in a hidden folder beside its place and renamed when it is
    complete: whatever ends the export early leaves what was there before.

    :raises ExportError: options that make no sense, an unfit checkpoint, a place that is taken, or
        a graph that does not give PyTorch's numbers.
    """
    options.check()
    with _replaced_folder(options.output, options.force) as folder:
        export = _Export(options, folder, _Progress(write))
        export.run()
    return Bundle.load(options.output)


#: Ends the name of a folder that an export works in; left behind only by a kill -9.
_PARTIAL = '.partial'


@dataclass
class _Progress:
    """One line a stage: what is done, how long it took, what came of it."""

    write: Callable[[str], None]
    notes: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        self.notes.clear()
        self.write(f'{title:<44} ')
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self.write('failed\n')
            raise
        note = '  ' + '; '.join(self.notes) if self.notes else ''
        self.write(f'{time.monotonic() - start:6.1f} s{note}\n')


class _Export:
    """One run of the pipeline into an empty folder."""

    def __init__(self, options: ExportOptions, folder: Path, progress: _Progress) -> None:
        self._options = options
        self._folder = folder
        self._progress = progress
        self._graphs: dict[str, GraphInfo] = {}
        self._checks: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        """Write every graph and, when all are right, the manifest."""
        with self._progress.stage('build model'):
            model = self._build_model()
        self._export_resize(model.image_size)
        features = self._export_encoder(model)
        self._export_decoder(model, features)
        if not self._options.image_only:
            memories = self._export_memory_encoder(model, features[0])
            self._export_memory_attention(model, features[0], memories)
            self._export_mask_prompt(model)
        with self._progress.stage('write manifest'):
            manifest = self._manifest(model)
            (self._folder / MANIFEST_NAME).write_text(manifest.to_json(), encoding='utf-8')
            size = Bundle.load(self._folder).size_bytes
            self._progress.notes.append(f'{size / 1e6:.1f} MB in {len(self._graphs)} graphs')

    def _build_model(self) -> SAM2Base:
        options = self._options
        if options.checkpoint is None:
            model = configs.random_model(options.model, options.image_size, options.seed)
            weights = f'RANDOM weights, seed {options.seed}: for trials, its masks mean nothing'
        else:
            model = configs.load_model(options.model, options.checkpoint, options.image_size)
            weights = options.checkpoint.name
        side = model.image_size
        self._progress.notes.append(f'{options.model}, {side} x {side}, {weights}')
        return model

    def _export_resize(self, image_size: int) -> None:
        name = 'image_resize'
        with self._progress.stage(f'{name}: build'):
            graph = resizing.image_resize(image_size, self._options.opset)
        cases = verify.resize_cases(image_size)
        signature = trace.resize_signature(image_size)
        self._save_and_check(name, graph, signature, cases, Tolerance(verify.RESIZE_TOLERANCE, 1.0))

    def _export_encoder(self, model: SAM2Base) -> Sequence[NDArray[Any]]:
        name = 'image_encoder'
        size = model.image_size
        signature = trace.encoder_signature(model)
        with self._progress.stage(f'{name}: trace'):
            example = (torch.zeros(1, size, size, 3),)
            graph = trace.trace(ImageEncoder(model), signature, example, self._options.opset)
        with self._progress.stage(f'{name}: run PyTorch'):
            cases = verify.encoder_cases(model)
        self._finish(name, graph, signature, cases)
        return cases[0].expected

    def _export_decoder(
            self, model: SAM2Base, features: Sequence[NDArray[Any]]) -> None:
        name = 'image_decoder'
        signature = trace.decoder_signature(model)
        with self._progress.stage(f'{name}: trace'):
            example = (
                *(torch.from_numpy(feature) for feature in features),
                *_decoder_example(trace.mask_size(model)))
            graph = trace.trace(ImageDecoder(model), signature, example, self._options.opset)
        with self._progress.stage(f'{name}: run PyTorch'):
            cases = verify.decoder_cases(model, features)
        self._finish(name, graph, signature, cases)

    def _export_memory_encoder(
            self, model: SAM2Base, image_embed: NDArray[Any]) -> NDArray[Any]:
        """Returns memories [B, P, D] that the official memory encoder makes."""
        name = 'memory_encoder'
        signature = trace.memory_encoder_signature(model)
        with self._progress.stage(f'{name}: run PyTorch'):
            cases = verify.memory_encoder_cases(model, image_embed)
        with self._progress.stage(f'{name}: trace'):
            example = _example(signature, cases[-1])
            graph = trace.trace(MemoryEncoder(model), signature, example, self._options.opset)
        self._finish(name, graph, signature, cases)
        return np.concatenate([case.expected[0] for case in cases])

    def _export_memory_attention(
            self, model: SAM2Base, image_embed: NDArray[Any], memories: NDArray[Any]) -> None:
        name = 'memory_attention'
        signature = trace.memory_attention_signature(model)
        with self._progress.stage(f'{name}: run PyTorch'):
            cases = verify.memory_attention_cases(model, image_embed, memories)
        with self._progress.stage(f'{name}: trace'):
            example = _example(signature, cases[1])  # more than one object, and little work
            graph = trace.trace(MemoryAttention(model), signature, example, self._options.opset)
        self._finish(name, graph, signature, cases)

    def _export_mask_prompt(self, model: SAM2Base) -> None:
        name = 'mask_prompt'
        with self._progress.stage(f'{name}: build'):
            graph = resizing.mask_prompt(model, self._options.opset)
        cases = verify.mask_prompt_cases(model)
        signature = trace.mask_prompt_signature(model)
        self._save_and_check(name, graph, signature, cases, Tolerance(verify.RESIZE_TOLERANCE, 1.0))

    def _finish(
            self, name: str, graph: onnx.ModelProto, signature: Signature,
            cases: list[Case]) -> None:
        """Take a traced graph through simplification and precision to its checked file."""
        with self._progress.stage(f'{name}: simplify'):
            simplified = simplify(graph, signature, cases)
            self._progress.notes.append(simplified.report)
        graph = simplified.model
        precision = self._options.precision if name in HALF_GRAPHS else 'fp32'
        if precision == 'fp16':
            with self._progress.stage(f'{name}: convert to half precision'):
                graph = to_half(graph, signature)
                self._progress.notes.append(f'{graph.ByteSize() / 1e6:.1f} MB')
        with self._progress.stage(f'{name}: store weights'):
            store_in_half(graph)
            self._progress.notes.append(f'{graph.ByteSize() / 1e6:.1f} MB')
        self._save_and_check(name, graph, signature, cases, verify.TOLERANCES[precision])
        self._checks[name]['onnxsim'] = 'kept' if simplified.kept else 'refused'

    def _save_and_check(
            self, name: str, graph: onnx.ModelProto, signature: Signature, cases: list[Case],
            tolerance: Tolerance) -> None:
        with self._progress.stage(f'{name}: check against PyTorch'):
            file = self._folder / f'{name}.onnx'
            onnx.save(graph, file)
            outputs = [output.name for output in signature.outputs]
            difference = verify.check_graph(name, file, cases, outputs, tolerance)
            self._progress.notes.append(
                f'largest difference {difference:.1e} of the largest value, allowed '
                f'{tolerance.difference:.0e}')
            self._graphs[name] = trace.describe_graph(file, signature)
            self._checks[name] = {'largest_relative_difference': difference}

    def _manifest(self, model: SAM2Base) -> Manifest:
        decoder = model.sam_mask_decoder
        return Manifest(
            format_version=FORMAT_VERSION,
            model=self._options.model,
            trained=self._options.checkpoint is not None,
            image_size=model.image_size,
            mean=configs.MEAN,
            std=configs.STD,
            precision=self._options.precision,
            opset=self._options.opset,
            graphs=self._graphs,
            constants=Constants(
                mask_threshold=configs.MASK_THRESHOLD,
                mask_size=trace.mask_size(model),
                dynamic_multimask_via_stability=decoder.dynamic_multimask_via_stability,
                stability_delta=decoder.dynamic_multimask_stability_delta,
                stability_threshold=decoder.dynamic_multimask_stability_thresh),
            tracking=None if self._options.image_only else _tracking(model),
            provenance=self._provenance())

    def _provenance(self) -> dict[str, Any]:
        file = self._options.checkpoint
        distributions = metadata.packages_distributions()
        return {
            'checkpoint': file.name if file else None,
            'checkpoint_sha256': sha256_of(file) if file else None,
            'seed': None if file else self._options.seed,
            'versions': {
                'sam2_ros': sam2_ros.__version__,
                **{name: _version(name, distributions) for name in (
                    'torch', 'sam2', 'onnx', 'onnxsim', 'onnxruntime')}},
            'checks': self._checks}


def _decoder_example(mask_size: int) -> tuple[torch.Tensor, ...]:
    """Prompts of two objects that share the image, to trace the decoder with."""
    objects, points = 2, 3
    return (
        torch.zeros(objects, points, 2), torch.ones(objects, points, dtype=torch.int32),
        torch.zeros(1, 1, mask_size, mask_size), torch.zeros(1), torch.zeros(1))


def _example(signature: Signature, case: Case) -> tuple[torch.Tensor, ...]:
    """Inputs of ``case`` to trace a graph with, in the order of its signature."""
    return tuple(torch.from_numpy(case.inputs[tensor.name]) for tensor in signature.inputs)


def _tracking(model: SAM2Base) -> Tracking:
    limit = model.max_cond_frames_in_attn
    return Tracking(
        num_maskmem=model.num_maskmem,
        max_object_pointers=model.max_obj_ptrs_in_encoder,
        max_cond_frames_in_attn=None if limit < 0 else limit,
        memory_temporal_stride=model.memory_temporal_stride_for_eval,
        multimask_output_in_sam=model.multimask_output_in_sam,
        multimask_output_for_tracking=model.multimask_output_for_tracking,
        multimask_min_points=model.multimask_min_pt_num,
        multimask_max_points=model.multimask_max_pt_num,
        use_multimask_token_for_pointer=model.use_multimask_token_for_obj_ptr,
        fill_hole_area=configs.FILL_HOLE_AREA)


def _version(module: str, distributions: Mapping[str, Sequence[str]]) -> str | None:
    """Version of the distribution that holds ``module``: sam2 goes by several names."""
    names = distributions.get(module)
    return metadata.version(names[0]) if names else None


@contextlib.contextmanager
def _replaced_folder(output: Path, force: bool) -> Iterator[Path]:
    """
    Give an empty folder that takes the place of ``output`` if all goes well, and vanishes if not.

    Only an empty folder or, with ``force``, a bundle is replaced.
    """
    output = output.expanduser().absolute()
    folder = None
    try:
        _check_place(output, force)
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(
            prefix=f'.{output.name}.', suffix=_PARTIAL, dir=output.parent))
        yield folder
        folder.chmod(0o755)  # mkdtemp makes it readable for its owner alone
        _check_place(output, force)
        _swap_in(folder, output)
    except OSError as error:
        raise ExportError(
            f'{output}: cannot be written ({error.strerror or error}); choose another --output') \
            from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _check_place(output: Path, force: bool) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise ExportError(f'{output}: is a file; choose another --output')
    if not any(output.iterdir()):
        return
    if not (output / MANIFEST_NAME).is_file():
        raise ExportError(f'{output}: holds something that is no bundle; choose another --output')
    if not force:
        raise ExportError(f'{output}: holds a bundle already; replace it with --force')


def _swap_in(folder: Path, output: Path) -> None:
    """Rename ``folder`` to ``output``; what was there goes last, and comes back on failure."""
    if not output.exists():
        folder.rename(output)
        return
    old = folder.with_suffix('.old')
    output.rename(old)
    try:
        folder.rename(output)
    except BaseException:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
