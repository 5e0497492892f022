# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameter table, declared on a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from sam2_ros.node.parameters import PARAMETERS, Parameter, Settings, refusal


def declare(node: Node) -> Settings:
    """
    Declare all parameters on `node`, checked from now on; returns their values.

    :raises rclpy.exceptions.ParameterException: a given value has the wrong type or is refused.
    """
    node.add_on_set_parameters_callback(_check)
    for parameter in PARAMETERS:
        node.declare_parameter(parameter.name, parameter.default, _descriptor(parameter))
    return _settings(node)


def refuse_if(node: Node, reason: Callable[[Settings], str | None]) -> None:
    """Refuse a change where `reason`, told what the values would be, says why it cannot be."""
    def check(parameters: list[RosParameter]) -> SetParametersResult:
        wanted = {parameter.name: parameter.value for parameter in parameters}
        why = reason(_settings(node, wanted))
        return SetParametersResult(successful=why is None, reason=why or '')

    node.add_on_set_parameters_callback(check)


def on_change(node: Node, changed: Callable[[Settings], None]) -> None:
    """Call `changed` with all values after each change of one of them."""
    names = {parameter.name for parameter in PARAMETERS}

    def after(parameters: list[RosParameter]) -> None:
        if names.intersection(parameter.name for parameter in parameters):
            changed(_settings(node))

    node.add_post_set_parameters_callback(after)


def _settings(node: Node, wanted: Mapping[str, Any] = MappingProxyType({})) -> Settings:
    """Return the values of all parameters; those in `wanted` go before the node's own."""
    now = {parameter.name: node.get_parameter(parameter.name).value for parameter in PARAMETERS}
    return Settings.from_values({**now, **wanted})


def _check(parameters: list[RosParameter]) -> SetParametersResult:
    for parameter in parameters:
        reason = refusal(parameter.name, parameter.value)
        if reason is not None:
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=parameter.description, read_only=parameter.read_only)
    if parameter.choices:
        descriptor.additional_constraints = f'one of: {parameter.range_text}'
    if parameter.minimum is None or parameter.maximum is None:
        return descriptor
    if isinstance(parameter.default, int):
        descriptor.integer_range = [IntegerRange(
            from_value=int(parameter.minimum), to_value=int(parameter.maximum))]
    else:
        descriptor.floating_point_range = [FloatingPointRange(
            from_value=parameter.minimum, to_value=parameter.maximum)]
    return descriptor
