"""The One Euro filter, a low-pass filter whose cut-off rises with speed.

Source: G. Casiez, N. Roussel, D. Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for
Noisy Input in Interactive Systems", CHI 2012. Times are passed in, to support variable frame rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["OneEuroFilter", "OneEuroParams"]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OneEuroParams:
    """Parameters of the filter."""

    min_cutoff_hz: float = 1.0
    """Cut-off without motion; lower is smoother."""
    beta: float = 5.0
    """Rise of the cut-off in Hz for each unit per second of speed; higher lags less."""
    speed_cutoff_hz: float = 2.0
    """Cut-off of the speed estimate itself."""


class OneEuroFilter:
    """Filters an array; all elements use the speed of the fastest one."""

    def __init__(self, params: OneEuroParams) -> None:
        self._params = params
        self._time_s: float | None = None
        self._value: Values = np.zeros(0)
        self._speed: Values = np.zeros(0)

    def __call__(self, time_s: float, value: Values, unit: float) -> Values:
        """Take the value at `time_s` and return the smoothed one.

        Args:
            time_s: later than in the call before; a first or a not later call starts afresh.
            value: any shape, always the same.
            unit: what counts as 1 when speed is measured (here: the eye distance in pixels, so
                that a face far away is smoothed like a near one).
        """
        dt_s = math.inf if self._time_s is None else time_s - self._time_s
        if self._time_s is None or dt_s <= 0:
            self._time_s, self._value, self._speed = time_s, value, np.zeros_like(value)
            return value
        speed = (value - self._value) / dt_s
        share = _share(self._params.speed_cutoff_hz, dt_s)
        self._speed = share * speed + (1 - share) * self._speed
        fastest = float(np.abs(self._speed).max()) / unit
        share = _share(self._params.min_cutoff_hz + self._params.beta * fastest, dt_s)
        self._value = share * value + (1 - share) * self._value
        self._time_s = time_s
        return self._value


def _share(cutoff_hz: float, dt_s: float) -> float:
    """Weight of the newest value in a first-order low-pass after `dt_s`."""
    rate = 2 * math.pi * cutoff_hz * dt_s
    return rate / (rate + 1)
