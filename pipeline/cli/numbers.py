"""Numbers on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import typer

__all__ = ["number"]

Number = TypeVar("Number", int, float)


def number(
    kind: type[Number], least: Number, most: Number | None = None
) -> Callable[[str], Number]:
    """Return a parser for an option that takes a number, which says what it expects.

    Args:
        kind: `int` for whole numbers, `float` for any.
        least: the smallest number.
        most: the largest one, None if there is none.
    """
    what = "a whole number" if kind is int else "a number"
    wanted = f"{what} from {least} to {most}" if most is not None else f"{what}, at least {least}"

    def parse(text: str) -> Number:
        try:
            found = kind(text)
        except ValueError:
            raise typer.BadParameter(f"expected {wanted} (got {text!r})") from None
        # Not true of NaN either.
        if not (least <= found and (most is None or found <= most)):
            raise typer.BadParameter(f"expected {wanted} (got {text!r})")
        return found

    return parse
