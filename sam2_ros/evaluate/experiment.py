# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An experiment: contenders that take turns, run by run."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sam2_ros.evaluate.samples import FIRST_RUN

#: Seconds before every run. Threads of OpenMP (PyTorch's) look for work for some milliseconds
#: after theirs is done, which whoever comes next would pay for.
PAUSE = 0.01


class Turn(NamedTuple):
    """A run of a contender; ``FIRST_RUN`` is the first after the model was loaded."""

    run: int
    contender: str


@dataclass(frozen=True)
class Readings:
    """
    What one run showed.

    ``seconds``: by stage; ``bytes``: of memory, by what they are of; ``notes``: what else is to be
    told of it.
    """

    seconds: Mapping[str, float]
    bytes: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


class Contender(Protocol):
    """Is measured; its model is loaded."""

    name: str

    def run(self, run: int) -> Readings:
        """Do what is measured once."""


#: Turns that were taken, and what they showed; closing it ends what was started for them.
Turns = Generator[tuple[Turn, Readings], None, None]


class Experiment(Protocol):
    """What is measured of whom."""

    name: str

    @property
    def turns(self) -> list[Turn]:
        """All that belongs to a repetition, in order."""

    def measure(self, todo: Sequence[Turn]) -> Turns:
        """Load the models anew and take the turns that are left to do."""


class InTurn:
    """
    All contenders are loaded at once and take turns.

    Who begins changes with every run: a machine that gets slower or busier does so for all.

    :param runs: that count, after the first.
    :param names: of the contenders that ``load`` returns, loaded.
    :param first_apart: there is a first run, which does not count; else ``load`` has warmed up.
    """

    def __init__(
        self, name: str, runs: int, names: Sequence[str],
        load: Callable[[], Sequence[Contender]], first_apart: bool = True,
    ) -> None:
        self.name = name
        self._runs = range(FIRST_RUN if first_apart else FIRST_RUN + 1, FIRST_RUN + 1 + runs)
        self._names = list(names)
        self._load = load

    @property
    def turns(self) -> list[Turn]:
        """See ``Experiment``."""
        return [Turn(run, name) for index, run in enumerate(self._runs)
                for name in (reversed(self._names) if index % 2 else self._names)]

    def measure(self, todo: Sequence[Turn]) -> Turns:
        """See ``Experiment``."""
        contenders = {each.name: each for each in self._load()}
        if FIRST_RUN in self._runs:
            # Those whose first run is known from before are loaded anew all the same.
            begun = {turn.contender for turn in todo if turn.run == FIRST_RUN}
            for name in contenders.keys() - begun:
                contenders[name].run(FIRST_RUN)
        for turn in todo:
            time.sleep(PAUSE)
            yield turn, contenders[turn.contender].run(turn.run)
