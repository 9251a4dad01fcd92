"""Parsers of options' values, which say what they expect."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import typer

__all__ = ["choice", "number"]

Number = TypeVar("Number", int, float)
Word = TypeVar("Word", bound=StrEnum)


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


def choice(words: type[Word]) -> Callable[[str], Word]:
    """Return a parser for an option that takes one of a few words.

    Args:
        words: those that it takes.
    """

    def parse(text: str) -> Word:
        try:
            return words(text)
        except ValueError:
            known = ", ".join(word.value for word in words)
            raise typer.BadParameter(f"expected one of {known} (got {text!r})") from None

    return parse
