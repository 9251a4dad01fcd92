"""What the commands write on the terminal."""

from __future__ import annotations

from typing import Final

from rich.console import Console

from pipeline.terminal import printable

__all__ = ["out", "say", "say_error"]

out: Final = Console()
"""Standard output."""
_err: Final = Console(stderr=True)


def say(text: str) -> None:
    """Write one line on standard output as it is: no markup, no wrapping, no colours."""
    out.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def say_error(text: str) -> None:
    """Write one line on standard error as it is."""
    _err.print(printable(text), markup=False, highlight=False, soft_wrap=True)
