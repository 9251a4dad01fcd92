"""What is wrong with settings that pydantic refused, in plain words."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeGuard, get_args

from pydantic import BaseModel, ValidationError

from aminet.errors import did_you_mean

__all__ = ["explain", "line_of", "shortened", "wrong_values"]

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120

_WORDS: Final = {
    "missing": "is missing",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected text",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping",
    "mapping_type": "expected a mapping",
    "model_type": "expected a mapping",
    "literal_error": "expected {expected}",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "value_error": "{error}",
}
"""What pydantic's kinds of errors are called here."""


_CHOICES: Final = ("literal[", "constrained-", "function-", "tuple[", "list[")
"""How steps begin that pydantic puts behind a key for each kind that its value may be of."""


def explain(
    error: ValidationError,
    lines: Mapping[tuple[str, ...], int] | None = None,
    *,
    model: type[BaseModel] | None = None,
) -> str:
    """Return a pydantic error as one line: each key, what is wrong with it, and the value got.

    Args:
        error: what pydantic raised.
        lines: where keys are in the file, from `lines_of`.
        model: what was checked, to suggest a name in place of an unknown one.
    """
    parts: dict[tuple[str, str], list[str]] = {}
    for issue in _issues(error, model):
        of_all = not issue.key and not issue.got
        key = "" if of_all else f"{issue.key or 'top level'}: "
        line = line_of([str(step) for step in issue.loc], lines or {})
        where = f"line {line}: {key}" if line else key
        parts.setdefault((where, issue.got), []).append(issue.text)
    return "; ".join(f"{where}{_either(texts)}{got}" for (where, got), texts in parts.items())


def wrong_values(error: ValidationError, model: type[BaseModel]) -> dict[str, str]:
    """Return what is wrong by key, as `explain` words it; the empty key is the model as a whole.

    Args:
        error: what pydantic raised.
        model: what was checked.
    """
    parts: dict[str, dict[str, list[str]]] = {}
    for issue in _issues(error, model):
        parts.setdefault(issue.key, {}).setdefault(issue.got, []).append(issue.text)
    return {
        key: "; ".join(f"{_either(texts)}{got}" for got, texts in values.items())
        for key, values in parts.items()
    }


class _Issue(NamedTuple):
    """One thing that pydantic found."""

    loc: tuple[int | str, ...]
    key: str
    """The keys that lead to the value, with dots between; empty for the model as a whole."""
    text: str
    """What is wrong, in words."""
    got: str
    """The value as ` (got 3)`, empty if the value is not what is wrong."""


def _issues(error: ValidationError, model: type[BaseModel] | None) -> Iterator[_Issue]:
    for issue in error.errors(include_url=False):
        kind, loc = issue["type"], issue["loc"]
        key = ".".join(str(step) for step in loc if not str(step).startswith(_CHOICES))
        if kind == "extra_forbidden":
            text = "unknown key" + did_you_mean(str(loc[-1]), _keys(model, loc))
        else:
            known = _WORDS.get(kind)
            limits = {name: _plain(limit) for name, limit in issue.get("ctx", {}).items()}
            text = known.format(**limits) if known else issue["msg"]
        silent = kind in {"missing", "extra_forbidden"} or (not key and kind == "value_error")
        yield _Issue(loc, key, text, "" if silent else f" (got {shortened(issue['input'])})")


def _plain(limit: object) -> object:
    """Return 63 for 63.0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _either(texts: Sequence[str]) -> str:
    """Return what is expected by each of the kinds that a value may be of."""
    first, *others = dict.fromkeys(texts)
    return ", or ".join([first, *(text.removeprefix("expected ") for text in others)])


def _keys(model: type[BaseModel] | None, loc: Sequence[int | str]) -> list[str]:
    """Return the keys that there are beside an unknown one."""
    kind: object = model
    for step in loc[:-1]:
        if _is_model(kind):
            field = kind.model_fields.get(str(step))
            kind = None if field is None else field.annotation
        else:  # a list or a mapping of models: the step is a place in it
            kind = next(filter(_is_model, get_args(kind)), None)
    return list(kind.model_fields) if _is_model(kind) else []


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def shortened(value: object) -> str:
    """Return a value as Python writes it, at most about 120 characters of it."""
    return _SHORT.repr(value)


def line_of(path: Sequence[str], lines: Mapping[tuple[str, ...], int]) -> int | None:
    """Return the line of the innermost key of a path that a file has, None if it has none."""
    keys = (tuple(path[:depth]) for depth in range(len(path), 0, -1))
    return next((lines[key] for key in keys if key in lines), None)
