"""Writing to the terminal."""

from __future__ import annotations

from typing import Final

from rich.console import Console

from pipeline.terminal import printable

__all__ = ["out", "say", "say_error"]

out: Final = Console()
"""Standard output."""
_err: Final = Console(stderr=True)


def say(text: str) -> None:
    """Write one line to standard output, without markup, wrapping or colours."""
    out.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def say_error(text: str) -> None:
    """Write one line to standard error, without markup, wrapping or colours."""
    _err.print(printable(text), markup=False, highlight=False, soft_wrap=True)
