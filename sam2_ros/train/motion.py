# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smooth motion: how a coordinate of a thing or of a camera changes with time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam2_ros.train.textures import Rng


@dataclass(frozen=True)
class Wave:
    """A smooth function of time: a constant, a slope and two waves; time in frames."""

    constant: float
    slope: float = 0
    amplitudes: tuple[float, ...] = ()
    periods: tuple[float, ...] = ()
    phases: tuple[float, ...] = ()

    @staticmethod
    def random(rng: Rng, constant: float, slope: float, amplitude: float) -> Wave:
        """Return a wave whose slope and amplitudes are normal, with these deviations."""
        return Wave(
            constant, rng.normal(0, slope),
            tuple(rng.normal(0, amplitude, 2) * (1, .4)), tuple(rng.uniform((30, 12), (90, 40))),
            tuple(rng.uniform(0, 2 * np.pi, 2)))

    def at(self, time: float) -> float:
        """Return the value at a time; at time 0 it is the constant."""
        waves = (amplitude * (np.sin(2 * np.pi * time / period + phase) - np.sin(phase))
                 for amplitude, period, phase in zip(
                     self.amplitudes, self.periods, self.phases, strict=True))
        return self.constant + self.slope * time + sum(waves)
