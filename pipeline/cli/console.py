"""Writing to the terminal."""

from __future__ import annotations

import sys
from typing import IO, Any, Final, cast

from rich.console import Console

from pipeline.terminal import printable

__all__ = ["failure", "out", "say", "say_error"]

MOST_CHARACTERS: Final = 4000
"""Longest message on standard error; the rest is cut."""


_WIDTH: Final = 80
"""Columns of a terminal that does not say how many it has."""


class _Stream:
    """Standard output or error, which may be closed or on a full disk.

    Text that cannot be written is dropped and the work continues. That nobody reads a pipe any more
    (`| head -1`) is no failure.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.failure: OSError | None = None
        """The first error in writing, None if there was none."""

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        self._do("write", text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._do("flush")

    def _do(self, verb: str, *text: str) -> None:
        stream = getattr(sys, self._name)
        if stream is None:
            return
        try:
            getattr(stream, verb)(*text)
        except BrokenPipeError:
            return  # `pipeline.__main__` sees to what is left in the buffer
        except OSError as error:
            self.failure = self.failure or error

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(sys, self._name), name)


_stdout: Final = _Stream("stdout")
_stderr: Final = _Stream("stderr")


def _console(stream: _Stream) -> Console:
    console = Console(file=cast("IO[str]", stream))
    if console.width < 1:  # of `COLUMNS=0`, as programs without a terminal set it
        console.width = _WIDTH
    return console


out: Final = _console(_stdout)
"""Standard output."""
_err: Final = _console(_stderr)


def failure() -> OSError | None:
    """Return the first error in writing to standard output, None if there was none."""
    return _stdout.failure


def say(text: str) -> None:
    """Write one line to standard output, without markup, wrapping or colours."""
    out.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def say_error(text: str) -> None:
    """Write one line to standard error, without markup, wrapping or colours."""
    text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ..."
    _err.print(printable(text), markup=False, highlight=False, soft_wrap=True)
