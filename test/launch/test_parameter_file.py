# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""config/sam2.yaml says of every parameter what the node's own table says."""

import re
from pathlib import Path

import pytest
import yaml

from sam2_ros.node.parameters import PARAMETERS, Parameter

FILE = Path(__file__).parents[2] / 'config' / 'sam2.yaml'


@pytest.fixture(scope='module')
def text() -> str:
    return FILE.read_text(encoding='utf-8')


def test_it_is_for_nodes_of_any_name(text: str) -> None:
    assert list(yaml.safe_load(text)) == ['/**']
    assert list(yaml.safe_load(text)['/**']) == ['ros__parameters']


def test_it_holds_all_parameters_with_their_defaults_in_order(text: str) -> None:
    values = yaml.safe_load(text)['/**']['ros__parameters']
    assert list(values.items()) == [(each.name, each.default) for each in PARAMETERS]
    for each in PARAMETERS:  # ROS refuses 1 for a double
        assert type(values[each.name]) is type(each.default), each.name


@pytest.mark.parametrize('parameter', PARAMETERS, ids=lambda parameter: parameter.name)
def test_the_comment_above_is_the_description_and_range(text: str, parameter: Parameter) -> None:
    match = re.search(rf'\n\n((?: +#.*\n)+) +{parameter.name}: ', text)
    assert match is not None, f'no comment between an empty line and {parameter.name}'
    comment = ' '.join(line.strip().removeprefix('# ') for line in match[1].splitlines())
    expected = parameter.description
    if parameter.range_text:
        expected += f' [{parameter.range_text}]'
    assert comment == expected


def test_the_sections_tell_what_can_change_at_run_time(text: str) -> None:
    at_start, at_run_time = text.split('# ---- Can be changed while the node runs')
    for parameter in PARAMETERS:
        section = at_start if parameter.read_only else at_run_time
        assert f'    {parameter.name}: ' in section, parameter.name
