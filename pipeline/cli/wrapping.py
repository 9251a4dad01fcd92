"""Wrapping every command of the program in the same way."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from pipeline.errors import RunFailedError

__all__ = ["not_ended_by_others", "wrap_commands"]


def wrap_commands(
    app: typer.Typer, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Replace all commands of a program, and of its groups, by wrapped ones."""
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = wrap(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            wrap_commands(group.typer_instance, wrap)


def not_ended_by_others(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that third-party code cannot end by `sys.exit(0)` as if it had succeeded.

    Click itself raises `SystemExit` only after a command has returned.
    """

    @wraps(command)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return command(*args, **named)
        except SystemExit as error:
            raise RunFailedError(f"third-party code called sys.exit({error.code!r})") from error

    return call
