"""What makes one video fail and stops no other, and how it is said."""

from __future__ import annotations

from typing import Final

from aminet.errors import AminetError
from pipeline.errors import RunFailedError

__all__ = ["FAILURES", "explained"]

FAILURES: Final = (Exception, SystemExit)
"""Whatever a node or a library may raise, a plug-in that leaves by `sys.exit` included. Interrupts
are none of these: they end the run."""


def explained(error: BaseException, what: str) -> AminetError:
    """Return a failure as an error with a message of one line for the user.

    Args:
        error: whatever was raised; an error of this package stays as it is.
        what: was being done, such as `the run`.
    """
    if isinstance(error, AminetError):
        return error
    kind = type(error).__name__
    lines = str(error).strip().splitlines()
    wrapped = RunFailedError(f"{what} failed ({kind}: {lines[0] if lines else kind})")
    wrapped.__cause__ = error
    return wrapped
