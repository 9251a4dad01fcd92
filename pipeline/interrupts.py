"""SIGINT and SIGTERM end the program at any moment, and never break what must stay whole.

Python raises in the middle of whatever runs. Clean-ups do not survive that, some callbacks swallow
it, and libraries are left half loaded. Here a signal raises only inside `interruptible` work. At
other times it is put off until such work begins, or until the program is over. It raises once, so
that whatever comes next leaves the clean-ups on the way out alone.

Nothing changes for a program that uses this package as a library: the signals stay its own.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = [
    "EXIT_INTERRUPTED",
    "Interrupted",
    "finish",
    "first_signal_calls",
    "install",
    "interrupted",
    "interruptible",
    "keeping_sigterm",
    "postponed",
    "raise_pending",
]

EXIT_INTERRUPTED: Final = 130
"""What a shell reports of a program that SIGINT ended."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_AGAIN_S: Final = 0.05
"""After an interrupt was swallowed."""


class Interrupted(KeyboardInterrupt):
    """An interrupt on its way out.

    Not `KeyboardInterrupt` itself: Python takes note of one that passes an `exec` of text, with
    which dataclasses are made, and in the end kills itself with SIGINT, whatever `sys.exit` said.
    """


class _State:
    """What the handlers and the work know of each other; signals come to the main thread only."""

    interrupted = False
    on_its_way = False
    allowed = False
    on_first: Callable[[], None] | None = None


_state = _State()


def install() -> None:
    """Take over both signals, which are put off until work is `interruptible`."""
    # Ray, when it is loaded, is to leave SIGTERM to Python: its own handler prints a stack.
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
    for number in _SIGNALS:
        signal.signal(number, _on_signal)
    signal.signal(signal.SIGALRM, _on_alarm)
    sys.unraisablehook = _on_swallowed


def finish(code: int) -> int:
    """Be deaf from now on, while Python ends; return the exit code, by what came until now."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    return EXIT_INTERRUPTED if _state.interrupted else code


def interrupted() -> bool:
    """Say whether the program is to end, or is about to."""
    return _state.interrupted


def raise_pending() -> None:
    """Raise what has come and was put off, or was swallowed by somebody's bare `except`."""
    if _state.interrupted and _state.allowed:
        _state.on_its_way = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Interrupted


@contextmanager
def interruptible() -> Generator[None]:
    """Let signals raise in here, and what was put off at once."""
    before, _state.allowed = _state.allowed, True
    try:
        raise_pending()
        yield
        raise_pending()
    finally:
        _state.allowed = before


@contextmanager
def postponed() -> Generator[None]:
    """Put signals off while this lasts: for clean-ups, and for what is done whole or not at all."""
    before, _state.allowed = _state.allowed, False
    try:
        yield
    finally:
        _state.allowed = before
    if not _state.on_its_way:
        raise_pending()


@contextmanager
def first_signal_calls(end: Callable[[], None]) -> Generator[None]:
    """Let the first signal do no more than this; the next one is an interrupt.

    Takes over the signals while it lasts, also in a program that has its own.
    """
    before = {number: signal.signal(number, _on_signal) for number in _SIGNALS}
    _state.on_first = end
    try:
        yield
    finally:
        _state.on_first = None
        for number, handler in before.items():
            signal.signal(number, handler)
        if _on_signal not in before.values():
            _state.interrupted = _state.on_its_way = False


@contextmanager
def keeping_sigterm() -> Generator[None]:
    """Let SIGTERM mean what it did, whatever `ray.init` makes of it: leave by `sys.exit`."""
    before = signal.getsignal(signal.SIGTERM)
    terminated = False
    try:
        yield
    except SystemExit:
        terminated = True
    finally:
        if signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)
    if terminated:
        signal.raise_signal(signal.SIGTERM)


def _on_signal(number: int, frame: FrameType | None) -> None:
    del number, frame
    on_first, _state.on_first = _state.on_first, None
    if on_first is not None:
        on_first()
        return
    _state.interrupted = True
    if not _state.on_its_way:
        raise_pending()


def _on_alarm(number: int, frame: FrameType | None) -> None:
    del number, frame
    _state.on_its_way = False
    raise_pending()


def _on_swallowed(what: sys.UnraisableHookArgs) -> None:
    """Try again in a moment where Python cannot pass an interrupt on, as in `__del__`."""
    if isinstance(what.exc_value, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(what)
