# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""config/sam2.rviz shows what the node publishes and clicks where the node listens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[2] / 'config' / 'sam2.rviz'


@pytest.fixture(scope='module')
def manager() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding='utf-8'))
    return document['Visualization Manager']


def topics(entries: list[dict[str, Any]], kind: str) -> dict[str, str]:
    """Return name (class where it has none) -> topic of the displays or tools of a class."""
    return {
        entry.get('Name', kind): entry['Topic']['Value']
        for entry in entries if entry['Class'] == f'rviz_default_plugins/{kind}'
    }


def test_it_shows_overlay_camera_and_labels(manager: dict[str, Any]) -> None:
    assert topics(manager['Displays'], 'Image') == {
        'Overlay': 'sam2/overlay',
        'Camera image': 'image',
        'Label image': 'sam2/label_image',
    }


def test_publish_point_has_a_surface_to_click_on(manager: dict[str, Any]) -> None:
    assert topics(manager['Tools'], 'PublishPoint') == {'PublishPoint': 'clicked_point'}
    assert list(topics(manager['Displays'], 'PointCloud2').values()) == ['points']


def test_it_has_a_fixed_frame(manager: dict[str, Any]) -> None:
    assert manager['Global Options']['Fixed Frame']


def test_topics_are_relative_so_that_a_namespace_and_remaps_hold(manager: dict[str, Any]) -> None:
    found = list(_topic_values(manager))
    assert found
    assert [topic for topic in found if topic.startswith('/')] == []


def _topic_values(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == 'Topic':
                yield value['Value']
            else:
                yield from _topic_values(value)
    elif isinstance(node, list):
        for each in node:
            yield from _topic_values(each)
