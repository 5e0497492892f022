# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One ONNX graph of a bundle, loaded and ready to run; tensors stay on its device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnxruntime import OrtValue

from sam2_ros.model.bundle import Bundle, TensorInfo
from sam2_ros.model.errors import BundleError
from sam2_ros.model.providers import ProviderOptions, create_session

#: A tensor on the host, or one that ONNX Runtime keeps (on whatever device).
Tensor: TypeAlias = npt.NDArray[Any] | OrtValue

_DTYPES = {'tensor(float)': 'float32', 'tensor(float16)': 'float16', 'tensor(uint8)': 'uint8',
           'tensor(int32)': 'int32', 'tensor(int64)': 'int64'}
_CACHE_FOLDER = 'engine_cache'


class Graph:
    """
    A graph of ``bundle`` on one provider.

    :raises ProviderError: the provider cannot run it.
    :raises BundleError: the file's inputs or outputs are not those that the manifest states.
    """

    def __init__(
        self, bundle: Bundle, name: str, provider: str, options: ProviderOptions,
    ) -> None:
        self.path = bundle.graph_path(name)
        self._session = create_session(
            self.path, provider, options, options.cache_dir or bundle.path / _CACHE_FOLDER)
        self._info = bundle.manifest.graphs[name]
        self._check_signature('inputs', self._session.get_inputs(), self._info.inputs)
        self._check_signature('outputs', self._session.get_outputs(), self._info.outputs)
        self._device = 'cuda' if provider in ('cuda', 'tensorrt') else 'cpu'
        self._device_id = options.device_id if self._device == 'cuda' else 0

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, OrtValue]:
        """
        Run the graph; inputs that are not on its device are copied there, outputs stay on it.

        Arrays must be C-contiguous and of the dtypes that the manifest states.
        """
        binding = self._session.io_binding()
        for name, tensor in inputs.items():
            if isinstance(tensor, OrtValue):
                binding.bind_ortvalue_input(name, tensor)
            else:
                binding.bind_cpu_input(name, tensor)
        for output in self._info.outputs:
            binding.bind_output(output.name, self._device, self._device_id)
        self._session.run_with_iobinding(binding)
        names = (output.name for output in self._info.outputs)
        return dict(zip(names, binding.get_outputs(), strict=True))

    def _check_signature(
        self, kind: str, found: list[Any], stated: tuple[TensorInfo, ...],
    ) -> None:
        in_file = [(node.name, _DTYPES.get(node.type, node.type), tuple(node.shape))
                   for node in found]
        in_manifest = [(tensor.name, tensor.dtype, tensor.shape) for tensor in stated]
        if in_file != in_manifest:
            raise BundleError(f'{self.path}: its {kind} are {in_file}, but the manifest states '
                              f'{in_manifest}; export the bundle again')


def to_host(tensor: OrtValue) -> npt.NDArray[np.generic]:
    """Return the tensor as a NumPy array, copied from the device if it is on one."""
    array: npt.NDArray[np.generic] = tensor.numpy()
    return array
