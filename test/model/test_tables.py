# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables line up."""

from __future__ import annotations

from sam2_ros.model.tables import format_table


def test_columns_line_up_and_lines_have_no_trailing_spaces() -> None:
    assert format_table(
        ('name', 'size', 'note'), [('a', '1.0 MB', ''), ('longer', '12.5 MB', 'x')],
        right=('size',),
    ).splitlines() == [
        'name       size  note',
        'a        1.0 MB',
        'longer  12.5 MB  x',
    ]


def test_a_table_without_rows_is_its_header() -> None:
    assert format_table(('a', 'b'), []) == 'a  b'
