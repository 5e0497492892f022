# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The provider that was asked for runs, or one line says why not.

ONNX Runtime is replaced at its boundary (``InferenceSession``, ``get_available_providers``) where a
test needs hardware or a build of it that a machine for tests does not have.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from sam2_ros.model import Bundle, ImageSegmenter, ProviderError, ProviderOptions, VideoTracker
from sam2_ros.model.providers import PROVIDERS, available_providers, candidates, create_session

CPU, CUDA = 'CPUExecutionProvider', 'CUDAExecutionProvider'
TENSORRT, OPENVINO = 'TensorrtExecutionProvider', 'OpenVINOExecutionProvider'
PACKAGES = {'cuda': 'onnxruntime-gpu', 'tensorrt': 'onnxruntime-gpu and TensorRT',
            'openvino': 'onnxruntime-openvino'}

_REAL_SESSION = onnxruntime.InferenceSession


class Machine:
    """An ONNX Runtime with more providers than the installed one, of which some work."""

    def __init__(self) -> None:
        #: (file's name, names of the execution providers in order, their options) of each session.
        self.asked: list[tuple[str, list[str], dict[str, dict[str, Any]]]] = []
        #: Execution providers that raise when a session with them starts, for any file or one.
        self.broken: set[str] = set()
        self.broken_for: set[tuple[str, str]] = set()
        #: Execution providers that ONNX Runtime leaves out without an error.
        self.ignored: set[str] = set()
        #: Those that start and then take no node.
        self.idle: set[str] = set()
        self.is_old = False  # before ONNX Runtime 1.24

    def session(self, model: str, settings: Any, chain: list[Any], **rest: Any) -> Any:
        options = dict(entry for entry in chain if not isinstance(entry, str))
        names = [entry if isinstance(entry, str) else entry[0] for entry in chain]
        self.asked.append((Path(model).name, names, options))
        for name in names:
            if name in self.broken or (name, Path(model).name) in self.broken_for:
                raise RuntimeError(f'{name} does not start\nand this is a second line')
        started = [name for name in names if name not in self.ignored]
        real = _REAL_SESSION(model, settings, [CPU], **rest)
        fake = SimpleNamespace(
            get_providers=lambda: started, get_inputs=real.get_inputs,
            get_outputs=real.get_outputs, io_binding=real.io_binding,
            run_with_iobinding=real.run_with_iobinding)
        if not self.is_old:
            fake.get_provider_graph_assignment_info = lambda: [
                SimpleNamespace(ep_name=name) for name in started if name not in self.idle]
        return fake


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pretend that this machine's ONNX Runtime has every provider."""
    machine = Machine()
    monkeypatch.setattr(
        onnxruntime, 'get_available_providers', lambda: [TENSORRT, CUDA, OPENVINO, CPU])
    monkeypatch.setattr(onnxruntime, 'InferenceSession', machine.session)
    monkeypatch.setattr(onnxruntime, 'preload_dlls', lambda: None, raising=False)
    return machine


@pytest.fixture
def bundle(nano_bundle: Path) -> Bundle:
    return Bundle.load(nano_bundle)


def refusal(bundle: Bundle, provider: str, **options: Any) -> str:
    with pytest.raises(ProviderError) as caught:
        ImageSegmenter(bundle, provider, ProviderOptions(**options))
    message = str(caught.value)
    assert '\n' not in message
    return message


# As installed

def test_the_cpu_is_always_there(bundle: Bundle) -> None:
    assert 'cpu' in available_providers()
    assert ImageSegmenter(bundle, 'cpu').provider == 'cpu'


@pytest.mark.parametrize('name', ['gpu', 'CPU', 'CPUExecutionProvider', '', 'rocm'])
def test_an_unknown_provider(bundle: Bundle, name: str) -> None:
    assert refusal(bundle, name) == (
        f'provider "{name}" is unknown; choose among cpu, cuda, tensorrt, openvino, auto')


@pytest.mark.parametrize('name', PACKAGES)
def test_a_provider_that_is_not_installed_names_the_package(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, name: str,
) -> None:
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CPU])
    expected = (f'provider "{name}" is not in the installed ONNX Runtime (it has cpu); install '
                f'{PACKAGES[name]} in its place')
    assert refusal(bundle, name) == expected
    with pytest.raises(ProviderError) as caught:
        create_session(
            bundle.graph_path('image_encoder'), name, ProviderOptions(), bundle.path / 'cache')
    assert str(caught.value) == expected


def test_auto_on_a_machine_with_only_a_cpu_has_nothing_to_tell(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CPU])
    assert ImageSegmenter(bundle).provider == 'cpu'
    assert not caplog.records


def test_a_file_that_is_no_graph(tmp_path: Path) -> None:
    file = tmp_path / 'graph.onnx'
    file.write_bytes(b'this is no graph')
    with pytest.raises(ProviderError) as caught:
        create_session(file, 'cpu', ProviderOptions(), tmp_path)
    assert str(caught.value).startswith(f'{file}: provider "cpu" cannot load it: ')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('options', 'message'), [
    ({'threads': -1}, 'threads is -1; give 0 (all cores) or more'),
    ({'device_id': -1}, 'device_id is -1; give 0 or more')])
def test_options_that_make_no_sense(options: dict[str, int], message: str) -> None:
    with pytest.raises(ProviderError) as caught:
        ProviderOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_onnx_runtime_logs_as_before_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    severities: list[int] = []
    monkeypatch.setattr(onnxruntime, 'set_default_logger_severity', severities.append)
    (tmp_path / 'graph.onnx').write_bytes(b'')
    with pytest.raises(ProviderError):
        create_session(tmp_path / 'graph.onnx', 'cpu', ProviderOptions(), tmp_path)
    assert severities[-1] == 2  # warnings, with which ONNX Runtime starts


# With every provider

def test_the_names_that_a_user_may_ask_for() -> None:
    assert PROVIDERS == ('cpu', 'cuda', 'tensorrt', 'openvino', 'auto')


def test_auto_tries_the_best_first(machine: Machine) -> None:
    assert candidates('auto') == ['openvino', 'tensorrt', 'cuda', 'cpu']
    assert candidates('cuda') == ['cuda']


@pytest.mark.parametrize(('name', 'encoder', 'decoder'), [
    ('cpu', [CPU], [CPU]),
    ('cuda', [CUDA, CPU], [CUDA, CPU]),
    ('tensorrt', [TENSORRT, CUDA, CPU], [CUDA, CPU]),
    ('openvino', [OPENVINO, CPU], [OPENVINO, CPU]),
])
def test_what_runs_where(
    machine: Machine, bundle: Bundle, name: str, encoder: list[str], decoder: list[str],
) -> None:
    assert ImageSegmenter(bundle, name).provider == name
    assert {file: names for file, names, _ in machine.asked} == {
        'image_encoder.onnx': encoder, 'image_decoder.onnx': decoder, 'image_resize.onnx': [CPU]}


@pytest.mark.parametrize('name', PACKAGES)
def test_a_provider_that_onnx_runtime_leaves_out_is_an_error(
    machine: Machine, bundle: Bundle, name: str,
) -> None:
    machine.ignored = {TENSORRT, CUDA, OPENVINO}
    message = refusal(bundle, name)
    assert f'image_encoder.onnx: provider "{name}" was asked for, but ONNX Runtime uses {CPU}' in (
        message)
    assert f'check that {PACKAGES[name]} fits the driver and libraries' in message


@pytest.mark.parametrize('name', PACKAGES)
def test_a_provider_that_takes_no_node_is_an_error(
    machine: Machine, bundle: Bundle, name: str,
) -> None:
    machine.idle = {TENSORRT, CUDA, OPENVINO}
    assert f'provider "{name}" was asked for, but ONNX Runtime uses {CPU};' in (
        refusal(bundle, name))


def test_tensorrt_that_leaves_everything_to_cuda_is_an_error(
    machine: Machine, bundle: Bundle,
) -> None:
    machine.idle = {TENSORRT}
    assert 'provider "tensorrt" was asked for, but ONNX Runtime uses' in (
        refusal(bundle, 'tensorrt'))


def test_an_old_onnx_runtime_that_cannot_say_what_took_the_nodes(
    machine: Machine, bundle: Bundle,
) -> None:
    """For Python 3.10 there is none newer than 1.23."""
    machine.is_old = True
    assert ImageSegmenter(bundle, 'cuda').provider == 'cuda'
    machine.ignored = {CUDA}
    assert f'"cuda" was asked for, but ONNX Runtime uses {CPU};' in refusal(bundle, 'cuda')


@pytest.mark.parametrize('name', PACKAGES)
def test_a_provider_that_does_not_start_is_an_error_in_one_line(
    machine: Machine, bundle: Bundle, name: str,
) -> None:
    machine.broken = {TENSORRT, CUDA, OPENVINO}
    message = refusal(bundle, name)
    assert message.startswith(str(bundle.graph_path('image_encoder')))
    assert f'provider "{name}" cannot load it: ' in message
    assert message.endswith(' does not start')


def test_auto_falls_back_with_one_warning(
    machine: Machine, bundle: Bundle, caplog: pytest.LogCaptureFixture,
) -> None:
    machine.broken = {OPENVINO, TENSORRT}
    machine.ignored = {CUDA}
    assert ImageSegmenter(bundle, 'auto').provider == 'cpu'
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert message.startswith('provider auto: using cpu')
    for name in ('openvino', 'tensorrt', 'cuda'):
        assert f'{name}: ' in message
    assert '\n' not in message


def test_auto_takes_the_best_that_works(
    machine: Machine, bundle: Bundle, caplog: pytest.LogCaptureFixture,
) -> None:
    assert ImageSegmenter(bundle, 'auto').provider == 'openvino'
    assert not caplog.records
    machine.broken = {OPENVINO}
    assert ImageSegmenter(bundle, 'auto').provider == 'tensorrt'
    assert len(caplog.records) == 1


def test_auto_passes_over_a_provider_that_takes_only_the_encoder(
    machine: Machine, bundle: Bundle,
) -> None:
    machine.broken_for = {(OPENVINO, 'image_decoder.onnx')}
    assert ImageSegmenter(bundle, 'auto').provider == 'tensorrt'
    assert 'image_decoder.onnx: provider "openvino" cannot load it' in refusal(bundle, 'openvino')


def test_auto_passes_over_a_provider_that_cannot_track(machine: Machine, bundle: Bundle) -> None:
    machine.broken_for = {(OPENVINO, 'memory_attention.onnx')}
    assert VideoTracker(bundle, 'auto').provider == 'tensorrt'
    assert ImageSegmenter(bundle, 'auto').provider == 'openvino'
    with pytest.raises(ProviderError, match=r'memory_attention.onnx: provider "openvino" cannot'):
        VideoTracker(bundle, 'openvino')


def test_tensorrt_compiles_the_encoder_alone(machine: Machine, bundle: Bundle) -> None:
    """The shapes of the other graphs change with prompts, objects and memories."""
    VideoTracker(bundle, 'tensorrt')
    compiled = {file for file, names, _ in machine.asked if TENSORRT in names}
    assert compiled == {'image_encoder.onnx'}
    on_gpu = {file for file, names, _ in machine.asked if CUDA in names}
    assert on_gpu == {'image_encoder.onnx', 'image_decoder.onnx', 'memory_attention.onnx',
                      'memory_encoder.onnx'}


# Options

def options_of(machine: Machine, execution_provider: str) -> dict[str, Any]:
    [options] = [options for file, _, options in machine.asked if file == 'image_encoder.onnx']
    return options[execution_provider]


@pytest.mark.parametrize('name', ['tensorrt', 'cuda'])
def test_the_gpu_that_was_meant(machine: Machine, bundle: Bundle, name: str) -> None:
    ImageSegmenter(bundle, name, ProviderOptions(device_id=2))
    for file, names, options in machine.asked:
        for execution_provider in set(names) - {CPU}:
            assert options[execution_provider]['device_id'] == 2, file


@pytest.mark.parametrize('fp16', [False, True])
def test_half_precision_only_where_it_was_asked_for(
    machine: Machine, bundle: Bundle, fp16: bool,
) -> None:
    ImageSegmenter(bundle, 'tensorrt', ProviderOptions(fp16=fp16))
    assert options_of(machine, TENSORRT)['trt_fp16_enable'] == fp16
    machine.asked.clear()
    ImageSegmenter(bundle, 'openvino', ProviderOptions(fp16=fp16))
    assert options_of(machine, OPENVINO)['precision'] == ('FP16' if fp16 else 'FP32')


@pytest.mark.parametrize(('name', 'execution_provider', 'keys'), [
    ('tensorrt', TENSORRT, ('trt_engine_cache_path', 'trt_timing_cache_path')),
    ('openvino', OPENVINO, ('cache_dir',))])
def test_where_compiled_graphs_are_kept(
    machine: Machine, bundle: Bundle, tmp_path: Path, name: str, execution_provider: str,
    keys: tuple[str, ...],
) -> None:
    cache = tmp_path / 'deep' / 'cache'
    ImageSegmenter(bundle, name, ProviderOptions(cache_dir=cache))
    assert {options_of(machine, execution_provider)[key] for key in keys} == {str(cache)}
    assert cache.is_dir()
    machine.asked.clear()
    ImageSegmenter(bundle, name)
    beside = str(bundle.path / 'engine_cache')
    assert {options_of(machine, execution_provider)[key] for key in keys} == {beside}


@pytest.mark.parametrize('name', ['tensorrt', 'openvino'])
def test_a_cache_that_cannot_be_written(
    machine: Machine, bundle: Bundle, tmp_path: Path, name: str,
) -> None:
    (tmp_path / 'file').touch()
    cache = tmp_path / 'file' / 'cache'
    assert refusal(bundle, name, cache_dir=cache) == (
        f'{cache}: compiled graphs cannot be kept there (Not a directory); name a writable '
        'folder as cache_dir')


def test_a_folder_that_exists_and_cannot_be_written(
    machine: Machine, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:
    """A bundle in /opt that root installed: engine_cache may be there, for root."""
    monkeypatch.setattr('os.access', lambda path, mode: Path(path) != tmp_path)
    assert refusal(bundle, 'openvino', cache_dir=tmp_path).startswith(
        f'{tmp_path}: compiled graphs cannot be kept there (')


def test_without_a_compiler_no_cache(machine: Machine, bundle: Bundle, tmp_path: Path) -> None:
    for name in ('cpu', 'cuda'):
        ImageSegmenter(bundle, name, ProviderOptions(cache_dir=tmp_path / 'cache'))
    assert not (tmp_path / 'cache').exists()


def test_threads(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def session(model: str, settings: Any, *rest: Any, **more: Any) -> Any:
        threads.append(settings.intra_op_num_threads)
        return _REAL_SESSION(model, settings, *rest, **more)

    monkeypatch.setattr(onnxruntime, 'InferenceSession', session)
    ImageSegmenter(bundle, 'cpu', ProviderOptions(threads=3))
    assert threads == [3, 3, 3]
