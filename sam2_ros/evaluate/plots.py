# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of latencies as PNG files, made without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sam2_ros.evaluate.latency import TOTAL
from sam2_ros.evaluate.samples import Series

#: Told apart by people with any colour vision (Okabe and Ito, 2008).
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#E69F00', '#CC79A7', '#56B4E9', '#000000', '#999999')
_COLUMNS = 3
_INCHES = (4.0, 2.6)
_BINS = 50
#: More runs than these are a line without dots.
_DOTS = 100


def plot_runs(series: Sequence[Series], title: str, file: Path) -> None:
    """
    Write a plot with every run: a panel for each stage, a line for each contender.

    Counterparts of Figures 3 and 4 of "Deploying Vision Foundation AI Models on the Edge. The SAM2
    Experience". Repetitions follow each other; first runs are not shown.
    """
    panels: dict[str, list[Series]] = {}
    for each in series:
        panels.setdefault(each.stage, []).append(each)
    columns = min(_COLUMNS, len(panels)) or 1
    rows = -(-len(panels) // columns) or 1
    figure = _figure(columns, rows, title)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = _colours(series)
    for axis, (name, lines) in zip(axes[:len(panels)], panels.items(), strict=True):
        _draw_runs(axis, name, lines, colours)
    for axis in axes[len(panels):]:
        axis.set_axis_off()
    _name(figure, colours)
    figure.savefig(file, dpi=100)


def plot_counts(series: Sequence[Series], title: str, file: Path) -> None:
    """
    Write a plot of time against a count, with which the names of the stages begin.

    A line through the medians for each contender, in a band from the 5th to the 95th percentile.
    Counterparts of Figures 5 and 6 of the same paper.
    """
    figure = _figure(2, 2, title)
    axis = figure.add_subplot()
    unit = ''
    colours = _colours(series)
    for name, colour in colours.items():
        lines = {int(each.stage.split()[0]): each for each in series if each.contender == name}
        counts = sorted(lines)
        unit = lines[counts[-1]].stage.split()[1]
        axis.plot(counts, [lines[count].median for count in counts], '.-', color=colour)
        axis.fill_between(
            counts, [lines[count].percentile(5) for count in counts],
            [lines[count].percentile(95) for count in counts], color=colour, alpha=0.2, linewidth=0)
    axis.set_xlabel(unit)
    axis.set_ylabel('ms to decode')
    axis.set_ylim(bottom=0)
    axis.grid(linewidth=0.4)
    _name(figure, colours)
    figure.savefig(file, dpi=100)


def plot_distributions(series: Sequence[Series], title: str, file: Path) -> None:
    """
    Write a plot of how the total is distributed, and of what it consists in the mean.

    Counterpart of the same paper's comparison of edge and cloud.
    """
    totals = [each for each in series if each.stage.startswith(TOTAL)]
    colours = _colours(series)
    parts = [each for each in series if each not in totals]
    figure = _figure(4 if parts else 2, 2, title)
    axes = figure.subplots(1, 2 if parts else 1, squeeze=False).ravel()
    highest = max(float(each.milliseconds.max()) for each in totals)
    for each in totals:
        colour = colours[each.contender]
        axes[0].hist(each.milliseconds, bins=_BINS, range=(0, highest), color=colour, alpha=0.6)
        axes[0].axvline(each.median, color=colour, linewidth=0.8, linestyle='--')
    axes[0].set_title(totals[0].stage)
    axes[0].set_xlabel('ms (dashed: median)')
    axes[0].set_ylabel('runs')
    if parts:
        _draw_parts(axes[1], parts, list(colours))
    _name(figure, colours)
    figure.savefig(file, dpi=100)


def _figure(columns: int, rows: int, title: str) -> Figure:
    figure = Figure(
        figsize=(columns * _INCHES[0], rows * _INCHES[1] + 0.4), layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    return figure


def _colours(series: Sequence[Series]) -> dict[str, str]:
    names = dict.fromkeys(each.contender for each in series)
    return {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}


def _draw_parts(axis: Axes, parts: Sequence[Series], contenders: Sequence[str]) -> None:
    """Draw a bar for each contender, of the means of its stages."""
    ends = dict.fromkeys(contenders, 0.0)
    stages = list(dict.fromkeys(each.stage for each in parts))
    for index, stage in enumerate(stages):
        means = {each.contender: each.mean for each in parts if each.stage == stage}
        axis.barh(
            list(means), list(means.values()), left=[ends[name] for name in means], label=stage,
            color=_COLOURS[index % len(_COLOURS)],
            hatch='//' if index >= len(_COLOURS) else None)  # the second of its colour
        for name, mean in means.items():
            ends[name] += mean
    axis.invert_yaxis()  # the first on top
    axis.set_title('stages')
    axis.set_xlabel('ms (mean)')
    axis.legend(fontsize='x-small')


def _name(figure: Figure, colours: Mapping[str, str]) -> None:
    """Say below the plot which colour is whose."""
    if colours:
        figure.legend(
            handles=[Line2D([], [], color=colour) for colour in colours.values()],
            labels=list(colours), loc='outside lower center', ncols=_COLUMNS, fontsize='small')


def _draw_runs(
    axis: Axes, name: str, lines: Sequence[Series], colours: Mapping[str, str],
) -> None:
    for series in lines:
        colour = colours[series.contender]
        values = series.milliseconds
        axis.plot(
            range(1, len(values) + 1), values, '.-' if len(values) <= _DOTS else '-', color=colour,
            linewidth=0.8, markersize=4)
        axis.axhline(series.median, color=colour, linewidth=0.8, linestyle='--')
    axis.set_title(name)
    axis.set_xlabel('run')
    axis.set_ylabel('ms')
    highest = max(float(series.milliseconds.max()) for series in lines)
    axis.set_ylim(0, 1.05 * highest or 1.0)
