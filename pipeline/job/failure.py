"""Errors that make one video fail without stopping the others."""

from __future__ import annotations

from typing import Final

from aminet.errors import AminetError, first_line
from pipeline.errors import RunFailedError

__all__ = ["FAILURES", "explained"]

FAILURES: Final = (Exception, SystemExit)
"""Errors of nodes and libraries, including a plug-in's `sys.exit`, but not interrupts."""


def explained(error: BaseException, what: str) -> AminetError:
    """Return an error with a one-line message for the user.

    Args:
        error: the error; one of this package is returned unchanged.
        what: the failed step, such as `the run`.
    """
    if isinstance(error, AminetError):
        return error
    kind = type(error).__name__
    wrapped = RunFailedError(f"{what} failed ({kind}: {first_line(error)})")
    wrapped.__cause__ = error
    return wrapped
