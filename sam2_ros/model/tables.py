# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables for terminals."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def format_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = (),
) -> str:
    """Return ``rows`` under ``header`` in aligned columns; those named in ``right`` flush right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return '\n'.join(
        '  '.join(
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(line, widths, header, strict=True)
        ).rstrip()
        for line in lines)
