# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What diagnostics say, and how often the log says it."""

from __future__ import annotations

import pytest

pytest.importorskip('diagnostic_msgs', reason='no ROS 2 in this environment')

from diagnostic_msgs.msg import DiagnosticStatus

from sam2_ros.node.diagnostics import ERROR_MEMORY, Statistics, Throttle


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in status.values}


def test_counts_rates_and_latencies() -> None:
    statistics = Statistics()
    statistics.status('node', 10.0, {})
    statistics.count('images', 60)
    statistics.count('frames dropped')
    statistics.time('encode', 0.1)
    statistics.time('encode', 0.3)
    status = statistics.status('node', 12.0, {'provider': 'cpu'})
    values = values_of(status)
    assert (status.level, status.message) == (DiagnosticStatus.OK, 'running')
    assert values['provider'] == 'cpu'
    assert values['images per second'] == '30.00'
    assert (values['images'], values['frames dropped']) == ('60', '1')
    assert values['encode ms'] == '200.0 (max 300.0)'
    # nothing new: no rate, but the last latencies stay
    values = values_of(statistics.status('node', 13.0, {}))
    assert values['images per second'] == '0.00'
    assert values['encode ms'] == '200.0 (max 300.0)'


def test_an_error_warns_for_a_while_and_is_kept() -> None:
    statistics = Statistics()
    statistics.error('the image is empty', 100.0)
    status = statistics.status('node', 101.0, {})
    assert (status.level, status.message) == (DiagnosticStatus.WARN, 'the image is empty')
    status = statistics.status('node', 101.0 + ERROR_MEMORY, {})
    assert status.level == DiagnosticStatus.OK
    assert values_of(status)['last error'] == 'the image is empty'


def test_texts_that_differ_in_numbers_are_the_same() -> None:
    throttle = Throttle(5.0)
    passed = [throttle.passes(f'no image came for stamp {stamp}.5', 0.0) for stamp in range(100)]
    assert [text for text in passed if text] == ['no image came for stamp 0.5']


def test_the_same_text_is_said_once_in_a_while() -> None:
    throttle = Throttle(5.0)
    assert throttle.passes('broken', 0.0) == 'broken'
    assert throttle.passes('broken', 1.0) is None
    assert throttle.passes('other', 1.0) == 'other'
    assert throttle.passes('broken', 4.9) is None
    assert throttle.passes('broken', 5.0) == 'broken (2 more times since)'
    assert throttle.passes('broken', 11.0) == 'broken'
