"""`--verbose` and `--quiet`, which every command takes, wherever they are written."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

import typer

__all__ = ["adjustable", "is_quiet"]

_OURS: Final = ("aminet", "nodes", "pipeline")

_OPTIONS: Final = {
    "verbose": Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Say what each segment cost, and where an error came from."
        ),
    ],
    "quiet": Annotated[
        bool, typer.Option("--quiet", "-q", help="Say only what goes wrong: no progress, no notes.")
    ],
}


def is_quiet() -> bool:
    """Return whether `--quiet` was given."""
    return not logging.getLogger(_OURS[-1]).isEnabledFor(logging.WARNING)


def adjustable(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that takes the two options besides its own."""

    @wraps(command)
    def call(*args: Any, verbose: bool, quiet: bool, **own: Any) -> Any:
        if verbose or quiet:
            for room in _OURS:
                logging.getLogger(room).setLevel(logging.DEBUG if verbose else logging.ERROR)
        return command(*args, **own)

    own = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
        for name, option in _OPTIONS.items()
    ]
    call.__signature__ = own.replace(  # pyright: ignore[reportAttributeAccessIssue]
        parameters=[*own.parameters.values(), *added]
    )
    call.__annotations__ = {**command.__annotations__, **_OPTIONS}
    return call
