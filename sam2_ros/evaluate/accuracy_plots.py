# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Box plots of the fit with the truth (the edge SAM 2 paper's Figure 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sam2_ros.evaluate.figures import Values

#: Told apart by people with any colour vision (Okabe and Ito, 2008).
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#F0E442', '#999999')
_HEIGHT, _WIDTH_OF_A_BOX = 4.2, 0.32


def box_plot(
    groups: Mapping[str, Mapping[str, Values]], contenders: Sequence[str], what: str, title: str,
    file: Path,
) -> None:
    """
    Write boxes of the values in 0..1 by group (a prompt) and contender.

    A box reaches from the first to the third quartile, its whiskers to the 5th and the 95th
    percentile; the line is the median, the triangle the mean.
    """
    boxes = sum(len(group) + 1 for group in groups.values())
    figure = Figure(figsize=(max(_WIDTH_OF_A_BOX * boxes + 1.5, 5.0), _HEIGHT),
                    layout='constrained')
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    position, ticks = 0.0, []
    for group in groups.values():
        first = position
        for who, values in group.items():
            colour = _COLOURS[contenders.index(who) % len(_COLOURS)]
            axis.boxplot(
                [values.array], positions=[position], widths=0.75, whis=(5, 95), showmeans=True,
                patch_artist=True, showfliers=False, manage_ticks=False,
                boxprops={'facecolor': colour, 'alpha': 0.6}, medianprops={'color': 'black'},
                meanprops={'markerfacecolor': 'white', 'markeredgecolor': 'black',
                           'markersize': 4})
            position += 1.0
        ticks.append((first + position - 1.0) / 2)
        position += 1.0
    axis.set_xticks(ticks, list(groups), rotation=30, ha='right')
    axis.set_ylim(-0.02, 1.02)
    axis.set_ylabel(what)
    axis.grid(axis='y', linewidth=0.4)
    for who in contenders:
        axis.bar(0, 0, color=_COLOURS[contenders.index(who) % len(_COLOURS)], alpha=0.6, label=who)
    if contenders:
        axis.legend(fontsize='small', loc='lower right')
    axis.set_title(title, fontsize='medium')
    figure.savefig(file, dpi=110)
