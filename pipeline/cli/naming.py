"""What is wrong with a setting is told by the option that gave it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, get_args

from typer.models import OptionInfo

from pipeline.errors import ConfigError, GraphError

__all__ = ["naming_options"]


def naming_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command whose errors name the options that were given, not the settings they set.

    With `--from later` on the command line, the user is told of `--from`, and not of the setting
    `from_s` of a node `decode`.
    """
    options = _options_of(command)

    @wraps(command)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return command(*args, **named)
        except (ConfigError, GraphError) as error:
            given = (name for name in options if not _is_default(named.get(name)))
            error.message = _by_option(error, {name: options[name] for name in given})
            raise

    return call


def _is_default(value: object) -> bool:
    """Return whether an option was not given; a switch is false then."""
    return value is None or value is False


def _options_of(command: Callable[..., Any]) -> dict[str, str]:
    """Return the long name of each option of a command, such as `--from`, by its parameter."""
    found: dict[str, str] = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        for info in get_args(parameter.annotation)[1:]:
            if not isinstance(info, OptionInfo):
                continue
            # In an annotation Typer takes the first name for a default, until it makes the command.
            called = [str(given) for given in (info.default, *(info.param_decls or ()))]
            long = [given for given in called if given.startswith("--")]
            if long:
                found[name] = long[0]
    return found


def _by_option(error: ConfigError | GraphError, given: Mapping[str, str]) -> str:
    """Return an error's message, worded by options if all that is wrong was given by them."""
    from pipeline.config import flag_key

    keys = {flag_key(name): option for name, option in given.items()}
    if not error.wrong or not error.wrong.keys() <= keys.keys():
        return error.message
    return "; ".join(f"{keys[key]}: {what}" for key, what in error.wrong.items())
