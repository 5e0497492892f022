# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots as PNG files, made without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sam2_ros.evaluate.samples import NODE, Samples, Series

#: Told apart by people with any colour vision (Okabe and Ito, 2008).
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#E69F00', '#CC79A7', '#56B4E9')
_COLUMNS = 3
_INCHES = (4.0, 2.6)


def plot_runs(samples: Samples, title: str, file: Path) -> None:
    """
    Write a plot with every run: a panel for each stage, a line for each contender.

    The node's stages have panels of their own: they ran at another time.
    """
    panels: dict[str, list[Series]] = {}
    for series in samples.series():
        prefix = f'{NODE}: ' if series.contender == NODE else ''
        panels.setdefault(prefix + series.stage, []).append(series)
    columns = min(_COLUMNS, len(panels)) or 1
    rows = -(-len(panels) // columns) or 1
    figure = Figure(
        figsize=(columns * _INCHES[0], rows * _INCHES[1] + 0.4), layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = dict(zip(samples.contenders, _COLOURS, strict=False))
    for axis, (name, lines) in zip(axes[:len(panels)], panels.items(), strict=True):
        _draw(axis, name, lines, colours)
    for axis in axes[len(panels):]:
        axis.set_axis_off()
    figure.savefig(file, dpi=100)


def _draw(
    axis: Axes, name: str, lines: Sequence[Series], colours: Mapping[str, str],
) -> None:
    for series in lines:
        colour = colours[series.contender]
        values = series.milliseconds
        axis.plot(
            range(1, len(values) + 1), values, '.-', color=colour, linewidth=0.8, markersize=4,
            label=f'{series.contender}, median {series.median:.1f}')
        axis.axhline(series.median, color=colour, linewidth=0.8, linestyle='--')
    axis.set_title(name)
    axis.set_xlabel('run')
    axis.set_ylabel('ms')
    highest = max(max(series.milliseconds) for series in lines)
    # Room above the runs for a line of the legend for each contender.
    axis.set_ylim(0, (1.1 + 0.2 * len(lines)) * highest or 1.0)
    axis.legend(fontsize='small', loc='upper right')
