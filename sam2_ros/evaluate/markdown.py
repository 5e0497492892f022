# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables that read well as plain text, too."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table, aligned; columns after the first ``left`` are flush right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    rule = ['-' * width if index < left else '-' * (width - 1) + ':'
            for index, width in enumerate(widths)]
    return '\n'.join(
        '| ' + ' | '.join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))) + ' |'
        for line in (header, rule, *rows))
