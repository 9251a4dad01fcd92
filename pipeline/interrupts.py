"""Handling of SIGINT, SIGTERM and SIGHUP, which raise only where that is safe.

Python raises KeyboardInterrupt anywhere, which breaks clean-up code, is swallowed by some
callbacks, and leaves libraries half imported. With the handlers of this module a signal raises only
inside `interruptible` code. Elsewhere it is deferred until such code begins, or until the program
ends. It raises once: further signals do not interrupt the clean-up.

SIGHUP, of a terminal that is closed, is left alone if it is ignored, as `nohup` has it.

The handlers are installed by the program only, not when this package is used as a library.
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
"""Exit code after SIGINT, as shells report it (128 + 2)."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_AGAIN_S: Final = 0.05
"""Delay after which a swallowed interrupt is raised again, s."""


class Interrupted(KeyboardInterrupt):
    """Raised for SIGINT, SIGTERM and SIGHUP.

    A subclass of `KeyboardInterrupt`: if that one itself passes through an `exec` of text, as used
    by dataclasses, Python ends by killing itself with SIGINT, whatever the exit code.
    """


class _State:
    """State shared by the handlers and the code; handlers run in the main thread only."""

    interrupted = False
    on_its_way = False
    allowed = False
    on_first: Callable[[], None] | None = None


_state = _State()


def install() -> None:
    """Install the handlers; signals are deferred until code is `interruptible`."""
    # Otherwise Ray installs its own handler for SIGTERM, which prints a stack.
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
    for number in _heard():
        signal.signal(number, _on_signal)
    signal.signal(signal.SIGALRM, _on_alarm)
    sys.unraisablehook = _on_swallowed


def _heard() -> list[signal.Signals]:
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in _SIGNALS if not (ignored and number is signal.SIGHUP)]


def finish(code: int) -> int:
    """Ignore signals while Python exits; return `code`, or `EXIT_INTERRUPTED` after a signal."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    return EXIT_INTERRUPTED if _state.interrupted else code


def interrupted() -> bool:
    """Return whether a signal has arrived."""
    return _state.interrupted


def raise_pending() -> None:
    """Raise an interrupt that was deferred, or swallowed by a bare `except`."""
    if _state.interrupted and _state.allowed:
        _state.on_its_way = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Interrupted


@contextmanager
def interruptible() -> Generator[None]:
    """Let signals raise inside this context; a deferred one raises at once."""
    before, _state.allowed = _state.allowed, True
    try:
        raise_pending()
        yield
        raise_pending()
    finally:
        _state.allowed = before


@contextmanager
def postponed() -> Generator[None]:
    """Defer signals inside this context: for clean-up and for steps that must be atomic."""
    before, _state.allowed = _state.allowed, False
    try:
        yield
    finally:
        _state.allowed = before
    if not _state.on_its_way:
        raise_pending()


@contextmanager
def first_signal_calls(end: Callable[[], None]) -> Generator[None]:
    """Call `end` for the first signal inside this context; the next one is an interrupt.

    Installs the handlers for the time of the context, also when used as a library.
    """
    before = {number: signal.signal(number, _on_signal) for number in _heard()}
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
    """Restore the handler of SIGTERM, which `ray.init` replaces by one that calls `sys.exit`."""
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
    """Raise an interrupt again later if Python could not propagate it, as in `__del__`."""
    if isinstance(what.exc_value, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(what)
