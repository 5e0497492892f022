# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who is measured: bundles on providers, and the official code with the same weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_ros.evaluate.bundles import bundle_line, load_bundles
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.samples import PYTORCH
from sam2_ros.model.bundle import Bundle, sha256_of
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import ImageSegmenter

#: What PyTorch is run by, here.
_CPU = 'cpu'
#: Of a manifest's provenance.
_SHA256 = 'checkpoint_sha256'


@dataclass(frozen=True)
class Entrant:
    """
    A bundle on a provider.

    ``provider``: the one that really runs it; ``reference``: name of the official code that it is
    held against, None: of nobody.
    """

    name: str
    bundle: Bundle
    provider: str
    threads: int
    reference: str | None = None

    def segmenter(self) -> ImageSegmenter:
        """Load the model for single images."""
        return ImageSegmenter(self.bundle, self.provider, self.options)

    @property
    def options(self) -> ProviderOptions:
        """Options for whoever loads the bundle."""
        return ProviderOptions(threads=self.threads)

    def __str__(self) -> str:
        return f'{self.name}: {bundle_line(self.bundle, self.provider)}'


@dataclass(frozen=True)
class Official:
    """The official code, a ``SAM2Base`` with the weights of a bundle."""

    name: str
    model: Any
    bundle: Bundle
    threads: int

    def __str__(self) -> str:
        return (f'{self.name}: the official code on the CPU, eager, float32, with the weights of '
                f'{self.bundle.path.resolve().name}')


def enter(
    folders: Sequence[Path], providers: Sequence[str], threads: int,
    checkpoints: Sequence[Path] | None,
) -> tuple[list[Entrant], list[Official]]:
    """
    Return every bundle on every provider, and the official code for those on the CPU.

    :param checkpoints: files that the bundles were exported from, where their manifests do not
        tell the weights; None: no official code.
    :raises Sam2RosError: a bundle, a provider or a checkpoint is not what it must be.
    :raises ModuleNotFoundError: what PyTorch needs is not installed.
    """
    entrants: list[Entrant] = []
    for name, bundle in load_bundles(folders, reserved=(PYTORCH,)).items():
        for provider in providers:
            # Loaded to see whether and by what it can be run.
            taken = ImageSegmenter(bundle, provider, ProviderOptions(threads=threads)).provider
            full = name if len(providers) == 1 else f'{name}, {taken}'
            if any(each.name == full for each in entrants):
                raise BenchmarkError(f'provider "{provider}" is "{taken}" here, which is named too')
            entrants.append(Entrant(full, bundle, taken, threads))
    if checkpoints is None:
        return entrants, []
    return _with_official(entrants, checkpoints, threads)


def _with_official(
    entrants: Sequence[Entrant], checkpoints: Sequence[Path], threads: int,
) -> tuple[list[Entrant], list[Official]]:
    if not any(each.provider == _CPU for each in entrants):
        raise BenchmarkError(
            f'PyTorch is measured on the CPU, which is no match for provider '
            f'"{entrants[0].provider}": give --provider cpu beside --pytorch')
    by_sha256 = _check(checkpoints, [each.bundle for each in entrants])
    from sam2_ros.evaluate.official import official_model

    models: dict[tuple[Any, ...], Bundle] = {}
    for each in entrants:
        if each.provider == _CPU:
            models.setdefault(_weights(each.bundle), each.bundle)
    officials = {
        key: Official(
            PYTORCH if len(models) == 1 else f'{PYTORCH}, {_name_of(bundle, entrants)}',
            official_model(bundle, by_sha256.get(bundle.manifest.provenance.get(_SHA256, ''))),
            bundle, threads)
        for key, bundle in models.items()}
    referring = [
        Entrant(each.name, each.bundle, each.provider, threads,
                officials[_weights(each.bundle)].name if each.provider == _CPU else None)
        for each in entrants]
    return referring, list(officials.values())



def _check(checkpoints: Iterable[Path], bundles: Sequence[Bundle]) -> Mapping[str, Path]:
    """Return checkpoints by their SHA-256; each must be the origin of a bundle."""
    found = {}
    for checkpoint in checkpoints:
        if not checkpoint.is_file():
            raise BenchmarkError(f'{checkpoint}: no such file')
        sha256 = sha256_of(checkpoint)
        if not any(bundle.manifest.provenance.get(_SHA256) == sha256 for bundle in bundles):
            origins = ', '.join(dict.fromkeys(_origin(bundle) for bundle in bundles))
            raise BenchmarkError(
                f'{checkpoint}: no bundle was exported from it, but from {origins}')
        found[sha256] = checkpoint
    return found


def _weights(bundle: Bundle) -> tuple[Any, ...]:
    """Return what bundles of different precisions have in common."""
    manifest = bundle.manifest
    return (manifest.model, manifest.image_size, manifest.provenance.get(_SHA256),
            manifest.provenance.get('seed'))


def _name_of(bundle: Bundle, entrants: Iterable[Entrant]) -> str:
    return next(each.name for each in entrants if each.bundle is bundle)


def _origin(bundle: Bundle) -> str:
    provenance = bundle.manifest.provenance
    return provenance.get('checkpoint') or f'random weights of seed {provenance.get("seed")}'
