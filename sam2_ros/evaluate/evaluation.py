# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation from start to end: who is asked what, and where it is written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sam2_ros.evaluate.accuracy_plots import box_plot
from sam2_ros.evaluate.accuracy_report import tables
from sam2_ros.evaluate.bundles import bundle_line, describe_bundle, load_bundles
from sam2_ros.evaluate.coco import CocoSet
from sam2_ros.evaluate.contenders import GRABCUT, BundleContender, Contender, GrabCut
from sam2_ros.evaluate.davis import DavisSet
from sam2_ros.evaluate.degradation import Degradation
from sam2_ros.evaluate.errors import EvaluationError
from sam2_ros.evaluate.figures import ImageFigures, VideoFigures
from sam2_ros.evaluate.image_evaluation import ImageEvaluation
from sam2_ros.evaluate.machine import describe_machine, usable_cores
from sam2_ros.evaluate.outcome import Task
from sam2_ros.evaluate.pictures import ROWS, stack
from sam2_ros.evaluate.result_folder import FIGURES_FILE, REPORT_FILE, ResultFolder
from sam2_ros.evaluate.samples import PYTORCH
from sam2_ros.evaluate.source import CocoSource, DavisSource
from sam2_ros.evaluate.trackers import BundleTracker, TrackingContender
from sam2_ros.evaluate.truth_prompts import CENTRE, SINGLE_PROMPTS
from sam2_ros.evaluate.video_evaluation import MASK, VideoEvaluation
from sam2_ros.model import (
    Bundle,
    ImageSegmenter,
    ProviderOptions,
    TrackingOptions,
    VideoTracker,
)
from sam2_ros.model.bundle import sha256_of
from sam2_ros.model.image_files import read_photo, write_png

FORMAT_VERSION = 1
#: Names of files in the folder with the results.
BOX_PLOT_FILE, GRID_FILE, PICTURES_FOLDER = 'iou.png', 'grid.png', 'pictures'
#: What a set of pictures, and one of clips, can be asked, and what it is asked by default.
IMAGE_PROMPTS = SINGLE_PROMPTS
VIDEO_PROMPTS, DEFAULT_VIDEO_PROMPTS = (*SINGLE_PROMPTS, MASK), (CENTRE, MASK)


@dataclass(frozen=True)
class EvaluationOptions:
    """
    What to evaluate, on which set.

    ``limit``: so many pictures or clips, None: all; ``prompts``: None: the default of the set's
    kind; ``clicks``: length of the click-by-click protocol; ``pytorch``: a checkpoint, to ask the
    official code too; ``degradation``: what is done to every picture; ``threads``: 0 = one per
    core.

    :raises EvaluationError: there is no such prompt.
    """

    bundles: Sequence[Path]
    source: CocoSource | DavisSource
    output: Path
    limit: int | None = None
    seed: int = 0
    min_area: int = 1
    prompts: Sequence[str] | None = None
    clicks: int = 5
    pytorch: Path | None = None
    grabcut: bool = True
    degradation: Degradation = field(default_factory=Degradation)
    keep_masks: bool = False
    provider: str = 'auto'
    threads: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        possible = IMAGE_PROMPTS if isinstance(self.source, CocoSource) else VIDEO_PROMPTS
        if unknown := [name for name in self.prompts or () if name not in possible]:
            raise EvaluationError(
                f'there is no prompt "{unknown[0]}" for this kind of set; there are: '
                f'{", ".join(possible)}')


class Evaluation:
    """
    An evaluation that is prepared, so that what is wrong is said before anything is asked.

    :raises Sam2RosError: a bundle, the set, the checkpoint or the output folder is not what it
        must be.
    :raises ModuleNotFoundError: what PyTorch needs is not installed.
    """

    def __init__(self, options: EvaluationOptions) -> None:
        self._options = options
        self._threads = options.threads or usable_cores()
        self.bundles = load_bundles(options.bundles, reserved=(PYTORCH, GRABCUT))
        #: The contender that the others are compared with.
        self._reference = PYTORCH if options.pytorch else next(iter(self.bundles))
        self._providers: dict[str, str] = {}
        model = _official(options.pytorch, self.bundles.values(), self._threads)
        if isinstance(options.source, CocoSource):
            self._task: Task = self._image_task(options.source, model)
        else:
            self._task = self._video_task(options.source, model)
        self._settings = self._describe()
        self.folder = ResultFolder(options.output, self._settings, options.resume)
        self._machine = describe_machine()

    @property
    def total(self) -> int:
        """Number of pictures, or of clips times kinds of prompts."""
        return len(self._task.keys)

    @property
    def unit(self) -> str:
        """What is counted: image or clip."""
        return self._task.unit

    def run(self) -> None:
        """Evaluate what is not done yet; Ctrl-C leaves what is done in the folder."""
        pictures = len(self._pictures())
        todo = [key for key in self._task.keys if key not in self.folder.done]
        # Into a file, a line every ten seconds is enough.
        interval = 0.1 if sys.stderr.isatty() else 10.0
        with tqdm(total=self.total, initial=self.total - len(todo), desc='evaluate',
                  unit=self.unit, mininterval=interval) as bar:
            for key in todo:
                outcome = self._task.evaluate(key, draw=pictures < ROWS)
                self.folder.add(outcome.record)
                if outcome.picture is not None:
                    pictures += 1
                    folder = self.folder.path / PICTURES_FOLDER
                    folder.mkdir(exist_ok=True)
                    write_png(folder / f'{pictures:02}.png', outcome.picture)
                bar.update()

    def write(self) -> ImageFigures | VideoFigures:
        """
        Write report, figures and plots of what is done; returns the figures.

        :raises Sam2RosError: a file cannot be written.
        """
        folder = self.folder
        figures = self._task.figures(folder.records())
        box_plot(figures.values, figures.contenders, figures.measure, self._options.source.name,
                 folder.path / BOX_PLOT_FILE)
        rows = [read_photo(file) for file in self._pictures()]
        if rows:
            write_png(folder.path / GRID_FILE, stack(rows))
        folder.write(FIGURES_FILE, json.dumps({
            'format_version': FORMAT_VERSION, 'done': len(folder.done), 'of': self.total,
            'machine': self._machine, 'threads': self._threads, 'reference': self._reference,
            'settings': self._settings, 'figures': figures.to_json()}, indent=1) + '\n')
        plots = [BOX_PLOT_FILE, *([GRID_FILE] if rows else [])]
        folder.write(REPORT_FILE, '\n\n'.join([
            self._heading(), tables(figures, self._reference),
            *(f'![{name}]({name})' for name in plots), self._ending()]) + '\n')
        return figures

    def _image_task(self, source: CocoSource, model: Any) -> ImageEvaluation:
        options = self._options
        images = CocoSet(source.annotations, source.images, options.limit, options.seed,
                         source.categories, options.min_area)
        contenders: list[Contender] = []
        for name, bundle in self.bundles.items():
            segmenter = ImageSegmenter(bundle, options.provider, self._provider_options)
            self._providers[name] = segmenter.provider
            contenders.append(BundleContender(name, segmenter))
        if model is not None:
            from sam2_ros.evaluate.official_predictor import OfficialPredictor

            contenders.append(OfficialPredictor(model))
        if options.grabcut:
            contenders.append(GrabCut())
        return ImageEvaluation(
            images, contenders, self._reference, options.prompts or IMAGE_PROMPTS,
            options.clicks, options.degradation, options.seed, options.keep_masks)

    def _video_task(self, source: DavisSource, model: Any) -> VideoEvaluation:
        options = self._options
        clips = DavisSet(source.root, source.clips, options.limit, options.seed,
                         options.min_area, options.degradation)
        # The official code fills holes with a CUDA kernel only: beside it, nobody does.
        tracking = TrackingOptions() if model is None else TrackingOptions(fill_hole_area=0)
        contenders: list[TrackingContender] = []
        for name, bundle in self.bundles.items():
            tracker = VideoTracker(bundle, options.provider, self._provider_options, tracking)
            self._providers[name] = tracker.provider
            contenders.append(BundleTracker(name, tracker))
        if model is not None:
            from sam2_ros.evaluate.official_tracker import OfficialTracker

            contenders.append(OfficialTracker(model))
        return VideoEvaluation(
            clips, contenders, self._reference, options.prompts or DEFAULT_VIDEO_PROMPTS,
            options.seed, options.keep_masks)

    @property
    def _provider_options(self) -> ProviderOptions:
        return ProviderOptions(threads=self._threads)

    def _describe(self) -> dict[str, Any]:
        """Return what the results depend on."""
        options = self._options
        return {
            **options.source.to_json(),
            'bundles': {name: describe_bundle(bundle, self._providers[name])
                        for name, bundle in self.bundles.items()},
            'pytorch_sha256': None if options.pytorch is None else sha256_of(options.pytorch),
            'prompts': options.prompts, 'clicks': options.clicks, GRABCUT: options.grabcut,
            'limit': options.limit, 'seed': options.seed, 'min_area': options.min_area,
            'blur': options.degradation.blur, 'noise': options.degradation.noise,
            'keep_masks': options.keep_masks}

    def _pictures(self) -> list[Path]:
        return sorted((self.folder.path / PICTURES_FOLDER).glob('*.png'))

    def _heading(self) -> str:
        options, done = self._options, len(self.folder.done)
        contenders = [f'- {name}: {bundle_line(bundle, self._providers[name])}'
                      for name, bundle in self.bundles.items()]
        if options.pytorch is not None:
            contenders.append(f'- {PYTORCH}: the official code with {options.pytorch.name}')
            if isinstance(options.source, DavisSource):
                contenders.append('- holes in masks are not filled, as the official code has it '
                                  'on a CPU')
        drawn = f'Seed {options.seed}.'
        if options.min_area > 1:
            drawn += f' Objects of {options.min_area} pixels or more.'
        if options.degradation != Degradation():
            drawn += (f' Every picture is blurred (sigma {options.degradation.blur:g} pixels) and '
                      f'made noisy (sigma {options.degradation.noise:g} of 255).')
        parts = [f'# Evaluation on {options.source.name}', '\n'.join(contenders), drawn]
        if done < self.total:
            parts.insert(1, f'**INCOMPLETE: {done} of {self.total} are done.**')
        return '\n\n'.join(parts)

    def _ending(self) -> str:
        machine = self._machine
        versions = ', '.join(
            f'{name} {machine[name]}' for name in ('sam2_ros', 'onnxruntime', 'torch')
            if name in machine)
        return f'{machine["cpu"]}, {self._threads} threads, {versions}'


def _official(checkpoint: Path | None, bundles: Iterable[Bundle], threads: int) -> Any:
    """
    Return the official model with the weights of a checkpoint, None if there is none.

    :raises EvaluationError: none of the bundles was made from it, so that nothing tells which
        model it is for.
    """
    if checkpoint is None:
        return None
    if not checkpoint.is_file():
        raise EvaluationError(f'{checkpoint}: no such file; `sam2-ros checkpoints` downloads them')
    sha256 = sha256_of(checkpoint)
    manifest = next((bundle.manifest for bundle in bundles
                     if bundle.manifest.provenance.get('checkpoint_sha256') == sha256), None)
    if manifest is None:
        raise EvaluationError(
            f'{checkpoint}: none of the bundles was exported from it; name one that was')
    import torch

    from sam2_ros.export.configs import load_model

    torch.set_num_threads(threads)
    return load_model(manifest.model, checkpoint, manifest.image_size)
