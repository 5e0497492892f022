# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/node.md says what the node itself says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

PAGE = Path(__file__).parents[2] / 'docs' / 'node.md'


def rows_of(title: str) -> list[list[str]]:
    """Return the cells of the table under a heading of the page, without back quotes."""
    text = PAGE.read_text(encoding='utf-8')
    section = re.split(r'^#+ ', text.split(f'# {title}\n', 1)[1], maxsplit=1, flags=re.M)[0]
    lines = [line for line in section.splitlines() if line.startswith('|')][2:]
    return [[cell.strip().strip('`') for cell in line.strip('|').split('|')] for line in lines]


@pytest.mark.parametrize(('title', 'read_only'), [
    ('Fixed at start', True), ('Changeable at run time', False)])
def test_parameters(title: str, read_only: bool) -> None:
    from sam2_ros.node.parameters import PARAMETERS

    documented = [
        [name, kind, yaml.safe_load(default), allowed, meaning]
        for name, kind, default, allowed, meaning in rows_of(title)]
    assert documented == [
        [one.name, one.type_name, one.default, one.range_text, one.description]
        for one in PARAMETERS if one.read_only == read_only]


@pytest.fixture(scope='module')
def node(context: Any, trained_bundle: Path) -> Any:
    from rclpy.parameter import Parameter

    from sam2_ros.node.sam2_node import Sam2Node

    node = Sam2Node(context=context, namespace='/ns', parameter_overrides=[
        Parameter('bundle', value=str(trained_bundle)), Parameter('provider', value='cpu')])
    assert node.start()
    yield node
    node.close()
    node.destroy_node()


def full_name(name: str) -> str:
    return name if name.startswith('/') else '/ns/' + name.replace('~', 'sam2')


def test_declared_parameters(node: Any) -> None:
    from rclpy.parameter import Parameter

    from sam2_ros.node.parameters import PARAMETERS

    for one in PARAMETERS:
        descriptor = node.describe_parameter(one.name)
        assert descriptor.description == one.description
        assert descriptor.read_only == one.read_only
        assert Parameter.Type(descriptor.type).name.lower() == one.type_name
    ours = {name for name in node._parameters if not name.startswith((
        'qos_overrides.', 'use_sim_time', 'start_type_description_service'))}
    assert ours == {one.name for one in PARAMETERS}


def test_topics(node: Any) -> None:
    everywhere = {'/rosout', '/parameter_events', '/ns/sam2/transition_event'}
    for title, found in (
        ('Subscribed Topics', node.get_subscriber_names_and_types_by_node('sam2', '/ns')),
        ('Published Topics', node.get_publisher_names_and_types_by_node('sam2', '/ns')),
    ):
        documented = {(full_name(row[0]), row[1]) for row in rows_of(title)}
        # it stands in for `image`
        documented.discard(('/ns/image/compressed', 'sensor_msgs/msg/CompressedImage'))
        assert {(name, types[0]) for name, types in found if name not in everywhere} == documented


def test_reliability(node: Any) -> None:
    from rclpy.qos import ReliabilityPolicy

    words = {ReliabilityPolicy.RELIABLE: 'reliable', ReliabilityPolicy.BEST_EFFORT: 'sensor data'}
    for title, infos_of in (
        ('Subscribed Topics', node.get_subscriptions_info_by_topic),
        ('Published Topics', node.get_publishers_info_by_topic),
    ):
        for name, _, qos, _ in rows_of(title):
            found = [info for info in infos_of(full_name(name)) if info.node_name == 'sam2']
            # image/compressed stands in for `image`
            assert [words[info.qos_profile.reliability] for info in found] == (
                [] if name == 'image/compressed' else [qos.split(',')[0]]), name


def test_services(node: Any) -> None:
    from rclpy.node import Node

    plain = Node('plain', context=node.context, namespace='/ns')
    everywhere = {name.rsplit('/', 1)[1] for name, _ in
                  node.get_service_names_and_types_by_node('plain', '/ns')}
    plain.destroy_node()
    everywhere |= {'change_state', 'get_state', 'get_available_states',
                   'get_available_transitions', 'get_transition_graph'}
    found = {(name, types[0]) for name, types in
             node.get_service_names_and_types_by_node('sam2', '/ns')
             if name.rsplit('/', 1)[1] not in everywhere}
    assert found == {(full_name(row[0]), row[1]) for row in rows_of('Services')}
