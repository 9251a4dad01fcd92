"""Errors that `aminet` raises.

    AminetError
    ├── SideError (ValueError)         a tensor the network cannot take
    ├── WeightsError (OSError)         weights not found, damaged, or of another network
    ├── DataError (ValueError)         pictures that cannot be used for training or evaluation
    ├── TrainConfigError (ValueError)  a training or evaluation setting that is wrong
    ├── DeviceError (ValueError)       a device that this machine does not have
    └── DivergedError (RuntimeError)   training that has diverged

Every keyword attribute is optional, so errors survive pickling between processes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AminetError",
    "DataError",
    "DeviceError",
    "DivergedError",
    "SideError",
    "TrainConfigError",
    "WeightsError",
    "did_you_mean",
    "first_line",
]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `: did you mean 'x'?` to put behind an unknown name, empty if nothing is like it.

    Upper and lower case are alike, and names in a namespace may be meant without it: `blur` for
    `aminet.blur`.
    """
    whole = {other.casefold(): other for other in known}
    last = {other.rpartition(".")[2]: whole[other] for other in whole}
    for names in (whole, last):
        wanted = name.casefold()
        swapped = [other for other in names if sorted(other) == sorted(wanted)]
        close = swapped or difflib.get_close_matches(wanted, names, n=1)
        if close:
            return f": did you mean {names[close[0]]!r}?"
    return ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type's name if it has none.

    The error may be of another package, and fail to say anything.
    """
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 - its `__str__` may raise anything
        lines = []
    return lines[0] if lines else type(error).__name__


class AminetError(Exception):
    """Base of all errors here and in `nodes` and `pipeline`.

    `message` says what happened and what to do about it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class SideError(AminetError, ValueError):
    """A tensor of a shape the network cannot take."""

    def __init__(self, message: str = "", *, side_px: int | None = None) -> None:
        super().__init__(message)
        self.side_px = side_px


class WeightsError(AminetError, OSError):
    """Weights that are missing, damaged, or belong to another network."""

    def __init__(self, message: str = "", *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class DataError(AminetError, ValueError):
    """Pictures that cannot be used for training or evaluation."""

    def __init__(self, message: str = "", *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class TrainConfigError(AminetError, ValueError):
    """A training or evaluation setting that is wrong."""

    def __init__(self, message: str = "", *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class DeviceError(AminetError, ValueError):
    """A device that this machine does not have."""

    def __init__(self, message: str = "", *, device: str | None = None) -> None:
        super().__init__(message)
        self.device = device


class DivergedError(AminetError, RuntimeError):
    """Training that has diverged: its gradients are not finite, or it got worse than bicubic."""

    def __init__(self, message: str = "", *, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step
