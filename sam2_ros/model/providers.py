# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime execution providers: choose one by name, and make sure it is the one that runs."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from sam2_ros.model.errors import ProviderError, first_line

_LOG_WARNING, _LOG_FATAL = 2, 4  # severities of ONNX Runtime; it starts with the first

_CPU = 'CPUExecutionProvider'
_EXECUTION_PROVIDERS = {
    'cpu': _CPU,
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
    'openvino': 'OpenVINOExecutionProvider',
}
_PACKAGES = {
    'cpu': 'onnxruntime',
    'cuda': 'onnxruntime-gpu',
    'tensorrt': 'onnxruntime-gpu and TensorRT',
    'openvino': 'onnxruntime-openvino',
}
#: Names that a user may ask for. ``auto`` is the best available one.
PROVIDERS = (*_EXECUTION_PROVIDERS, 'auto')


@dataclass(frozen=True)
class ProviderOptions:
    """
    How a provider shall run.

    ``threads``: CPU threads of each graph, 0 = one per physical core. ``device_id``: which GPU.
    ``fp16``: let TensorRT and OpenVINO compute in half precision where the graph says single.
    ``cache_dir``: where TensorRT and OpenVINO keep compiled graphs, None = ``engine_cache`` in
    the bundle's folder.
    """

    threads: int = 0
    device_id: int = 0
    fp16: bool = False
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ProviderError(f'threads is {self.threads}; give 0 (all cores) or more')
        if self.device_id < 0:
            raise ProviderError(f'device_id is {self.device_id}; give 0 or more')


def available_providers() -> list[str]:
    """Return the names of the providers that the installed ONNX Runtime was built with."""
    built_in = onnxruntime.get_available_providers()
    return [name for name, provider in _EXECUTION_PROVIDERS.items() if provider in built_in]


def create_session(
    model: Path, provider: str, options: ProviderOptions, cache_dir: Path,
) -> onnxruntime.InferenceSession:
    """
    Load an ONNX file on the provider of that name (not ``auto``: see :func:`candidates`).

    :raises ProviderError: the provider is not installed, does not start, or took no node of the
        graph. Nodes that it has no kernel for may run on the CPU.

    Leaves ONNX Runtime's default log severity at WARNING, with which it starts, whatever the
    application had set: it can be set but not asked for.
    """
    if provider not in available_providers():
        raise ProviderError(_not_installed(provider))
    missing = _preload_cuda() if provider in ('cuda', 'tensorrt') else ''
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    # Threads that spin after each run keep a robot's cores busy for nothing.
    settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
    # Planned re-use keeps a buffer for every size that a graph has; freeing each tensor after its
    # last use takes a third less memory and no more time (measured on SAM 2.1 tiny).
    settings.enable_mem_pattern = False
    settings.enable_mem_reuse = False
    settings.add_session_config_entry('session.record_ep_graph_assignment_info', '1')
    # What ONNX Runtime would print about a provider that does not start, the errors below say.
    onnxruntime.set_default_logger_severity(_LOG_FATAL)
    try:
        session = onnxruntime.InferenceSession(
            str(model), settings, _chain(provider, options, cache_dir), enable_fallback=0)
    except ProviderError:
        raise
    except Exception as error:  # ONNX Runtime raises classes of its own, all below Exception
        raise ProviderError(f'{model}: provider "{provider}" cannot load it{missing}: '
                            f'{first_line(error)}') from error
    finally:
        onnxruntime.set_default_logger_severity(_LOG_WARNING)
    _check_taken(session, provider, model, missing)
    return session


def candidates(provider: str) -> list[str]:
    """
    Return the providers to try for a wanted name, best first: that one, or all for ``auto``.

    :raises ProviderError: no such name, or not in the installed ONNX Runtime.
    """
    if provider not in PROVIDERS:
        raise ProviderError(
            f'provider "{provider}" is unknown; choose among {", ".join(PROVIDERS)}')
    if provider == 'auto':
        return available_providers()[::-1]
    if provider not in available_providers():
        raise ProviderError(_not_installed(provider))
    return [provider]


def _not_installed(provider: str) -> str:
    return (f'provider "{provider}" is not in the installed ONNX Runtime (it has '
            f'{", ".join(available_providers())}); install {_PACKAGES[provider]} in its place')


def _chain(provider: str, options: ProviderOptions, cache_dir: Path) -> list[Any]:
    """Return the provider and those below it that take the nodes it has no kernel for."""
    if provider == 'cpu':
        return [_CPU]
    if provider == 'openvino':
        return [(_EXECUTION_PROVIDERS['openvino'], _openvino_options(options, cache_dir)), _CPU]
    cuda = (_EXECUTION_PROVIDERS['cuda'], {'device_id': options.device_id})
    if provider == 'cuda':
        return [cuda, _CPU]
    return [(_EXECUTION_PROVIDERS['tensorrt'], _tensorrt_options(options, cache_dir)), cuda, _CPU]


def _tensorrt_options(options: ProviderOptions, cache_dir: Path) -> dict[str, Any]:
    return {
        'device_id': options.device_id,
        'trt_fp16_enable': options.fp16,
        'trt_engine_cache_enable': True,
        'trt_engine_cache_path': str(_writable(cache_dir)),
        'trt_timing_cache_enable': True,
        'trt_timing_cache_path': str(cache_dir),
    }


def _openvino_options(options: ProviderOptions, cache_dir: Path) -> dict[str, str]:
    # OpenVINO picks a lower precision by itself on some hardware; a bundle's precision is meant.
    chosen = {'device_type': 'CPU', 'precision': 'FP16' if options.fp16 else 'FP32',
              'cache_dir': str(_writable(cache_dir))}
    if options.threads:
        chosen['num_of_threads'] = str(options.threads)
    return chosen


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):  # it was there, but is another user's
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ProviderError(
            f'{folder}: compiled graphs cannot be kept there ({error.strerror}); '
            'name a writable folder as cache_dir') from None
    return folder


def _preload_cuda() -> str:
    """
    Load the CUDA libraries of pip packages, where there are any.

    Returns a remark about the first library that was found nowhere, empty if all were.
    """
    if not hasattr(onnxruntime, 'preload_dlls'):  # before 1.21 it knows the system's only
        return ''
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        onnxruntime.preload_dlls()
    lines = output.getvalue().splitlines()
    failed = [line for line in lines if line.startswith('Failed to load')]
    return f' ({failed[0].split(": ")[0]})' if failed else ''


def _check_taken(
    session: onnxruntime.InferenceSession, provider: str, model: Path, missing: str,
) -> None:
    used = _used_providers(session)
    if _EXECUTION_PROVIDERS[provider] not in used:
        raise ProviderError(
            f'{model}: provider "{provider}" was asked for, but ONNX Runtime uses '
            f'{", ".join(used) or "none"}{missing}; check that {_PACKAGES[provider]} fits the '
            'driver and libraries of this machine')


def _used_providers(session: onnxruntime.InferenceSession) -> list[str]:
    """Return the execution providers that took a node; before ONNX Runtime 1.24, that started."""
    started: list[str] = session.get_providers()
    if not hasattr(session, 'get_provider_graph_assignment_info'):
        return started
    taken = {part.ep_name for part in session.get_provider_graph_assignment_info()}
    return [provider for provider in started if provider in taken]
